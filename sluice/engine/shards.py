"""An online store in several shards: each has a writer of its own, and a reader asks those that its entities lie in.

How many there are is written down in the pipeline's own store, which every process opens first; one without such a
mark is the whole store. What a vector knows is told for each entity, because each shard has come so far by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from operator import attrgetter

import orjson

from sluice.engine.places import open_store
from sluice.engine.shares import shard_of
from sluice.engine.store import (
    NOBODY,
    OWN,
    Call,
    Change,
    ChunkName,
    Heads,
    Knowledge,
    NotThere,
    Reading,
    TileReader,
    TileStore,
)
from sluice.engine.tiles import Id
from sluice.errors import UserError

_MARK = (f"{OWN}spread", 0)


@dataclass(frozen=True)
class Spread:
    """Among how many partitions the events of every stream are spread, and among how many shards the entities."""

    partitions: int = 1
    shards: int = 1

    @property
    def whole(self) -> bool:
        """Whether nothing is divided: one consumer reads everything into one store."""
        return self.partitions == self.shards == 1

    def shard(self, pipeline: str, number: int) -> str:
        """The name of a shard's store."""
        return f"{pipeline}.{number}-of-{self.shards}"

    def router(self, pipeline: str, number: int) -> str:
        """The name of the store of the router of one partition."""
        return f"{pipeline}.route.{number}-of-{self.partitions}"


def spread_of(store: TileReader) -> Spread:
    """What a pipeline's own store says of how it is divided."""
    (mark,) = store.read([_MARK]).heads
    return Spread() if mark is None else Spread(**orjson.loads(mark))


def remember(store: TileStore, spread: Spread) -> None:
    """Write down how a pipeline is divided; UserError if it is divided otherwise already."""
    held = spread_of(store)
    if held not in {spread, Spread()}:
        raise UserError(
            f"the online store is made for {held.partitions} partitions and {held.shards} shards, "
            f"and the topics have {spread.partitions} and {spread.shards}",
            where="SLUICE_ONLINE",
            next_step="give it an empty place, then `sluice stream topics`, then the flow `features`",
        )
    if held != spread:
        store.apply(Change(heads=[(*_MARK, orjson.dumps(asdict(spread)))]))


def open_online(uri: str, pipeline: str) -> TileReader:
    """The online store of a pipeline to read from, whole or in shards; NotThere while nobody has started it."""
    stores = open_shards(uri, pipeline)
    return stores[0] if len(stores) == 1 else Shards(stores)


def online_if_there(uri: str, pipeline: str) -> TileReader | None:
    """The same; None while nobody has started it. Outage where one is that cannot be read."""
    try:
        return open_online(uri, pipeline)
    except NotThere:
        return None


def open_shards(uri: str, pipeline: str) -> Sequence[TileStore]:
    """The stores of a pipeline to read from: the whole one, or its shards; NotThere while one is not there."""
    with ExitStack() as stack:
        own = stack.enter_context(closing(open_store(uri, pipeline, read_only=True)))
        spread = spread_of(own)
        if spread.whole:
            stack.pop_all()
            return [own]
    with ExitStack() as stack:
        names = [spread.shard(pipeline, number) for number in range(spread.shards)]
        found = [stack.enter_context(closing(open_store(uri, name, read_only=True))) for name in names]
        stack.pop_all()
        return found


class Shards:
    """The shards of a store as one: each entity is read from the shard that it belongs to."""

    def __init__(self, stores: Sequence[TileReader]) -> None:
        self._stores = stores

    def read(self, names: Sequence[tuple[str, Id | None]], call: Call | None = None) -> Reading:
        """The heads of some entities (nobody's is None), the chunks they call for, and what they know.

        Each shard is read once and atomically. `each` says what each head knows, and `knowledge` what all shards do
        that were read; of no entities, what every shard does.
        """
        mine: dict[int, list[int]] = {}
        for place, (_, key) in enumerate(names):
            if key is not None:
                mine.setdefault(shard_of(key, len(self._stores)), []).append(place)
        heads: list[bytes | None] = [None] * len(names)
        each = [NOBODY] * len(names)
        chunks: dict[ChunkName, bytes] = {}
        known = []
        for number in mine or range(len(self._stores)):
            places = mine.get(number, [])
            read = self._stores[number].read([names[place] for place in places], _called(call, places, len(names)))
            known.append(of_sources(read.knowledge))
            chunks.update(read.chunks)
            for place, head in zip(places, read.heads, strict=True):
                heads[place], each[place] = head, known[-1]
        return Reading(heads, chunks, least(known), each)

    def close(self) -> None:
        """Let go of every shard."""
        for store in self._stores:
            store.close()


def of_sources(known: Knowledge) -> Knowledge:
    """What a shard knows of the sources: all but how far it has read what the routers send it."""
    return Knowledge(known.base, {place: at for place, at in known.positions.items() if not place[0].startswith(OWN)})


def least(known: Sequence[Knowledge]) -> Knowledge:
    """What is known to all of some shards."""
    first, *others = known
    places = [place for place in first.positions if all(place in other.positions for other in others)]
    positions = {place: min((one.positions[place] for one in known), key=attrgetter("offset")) for place in places}
    return Knowledge(min(one.base for one in known), positions)


def _called(call: Call | None, places: Sequence[int], count: int) -> Call | None:
    """A call for chunks that finds each head where it was asked for, and no others."""
    if call is None:
        return None

    def among_all(heads: Heads) -> Sequence[ChunkName]:
        whole: list[bytes | None] = [None] * count
        for place, head in zip(places, heads, strict=True):
            whole[place] = head
        return call(whole)

    return among_all
