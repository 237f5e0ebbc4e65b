"""How far the online store is behind the topics, shard by shard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

from sluice.declare.pipeline import Pipeline
from sluice.engine.shards import Spread
from sluice.engine.store import NotThere, TileReader
from sluice.stream.subscription import Subscription
from sluice.stream.topics import stream_topic


@dataclass(frozen=True)
class Standing:
    """Where one store stands: the base that it was started from, and how many records it has still to learn of."""

    store: str
    base: int | None
    """None while the store is not there; -1 when it was started from nothing."""
    behind: int

    def __str__(self) -> str:
        if self.base is None:
            return f"{self.store}: not there yet"
        base = "no base" if self.base < 0 else f"base {self.base}"
        return f"{self.store}: {base}, {self.behind:,} records behind"


def standings(
    pipeline: Pipeline, spread: Spread, bootstrap: str, opened: Callable[[str], TileReader]
) -> Iterator[Standing]:
    """Where the stores that are read stand, one for each shard; `opened` opens one by name to be read."""
    topics = [stream_topic(pipeline.name, stream.name) for stream in pipeline.streams]
    with Subscription(bootstrap, topics, lambda _: None) as subscription:
        ends = subscription.ends()
    shards = [spread.shard(pipeline.name, number) for number in range(spread.shards)]
    for name in [pipeline.name] if spread.whole else shards:
        try:
            with closing(opened(name)) as store:
                known = store.read([]).knowledge
        except NotThere:
            yield Standing(name, None, sum(ends.values()))
            continue
        yield Standing(name, known.base, sum(end - (known.offset(place) or 0) for place, end in ends.items()))
