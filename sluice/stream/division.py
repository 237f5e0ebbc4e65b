"""The workers of a pipeline as its topics divide it: one fold for all, or routers and folds of shards side by side."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from sluice.declare.pipeline import Pipeline
from sluice.engine.shards import Spread, remember
from sluice.engine.store import TileStore
from sluice.errors import Outage, UserError
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.lake.schemas import Schemas
from sluice.stream.crew import Crew
from sluice.stream.fold import FoldConsumer
from sluice.stream.gather import ShardFold
from sluice.stream.members import Member, Named, Ownership
from sluice.stream.producer import Producer
from sluice.stream.router import Routed, Router
from sluice.stream.topics import LARGEST, entity_topic, stream_topic
from sluice.stream.uncounted import Uncounted
from sluice.wording import command

Stopped = Callable[[], bool]


@dataclass(frozen=True)
class Division:
    """A pipeline, how it is divided, and where its stores are (`opened` by name)."""

    pipeline: Pipeline
    spread: Spread
    bootstrap: str
    opened: Callable[[str], TileStore]
    most: int = 1000
    session_ms: int = 10_000
    """After how long without a sign of life the group gives a worker's partitions to others."""
    schemas: Schemas | None = None
    """Where registered schemas are; not needed where all topics are JSON."""
    remembers: Remembers = nothing
    """What was forgotten."""

    def remember(self) -> int:
        """Write down in the pipeline's own store how it is divided, for those who read it; the base that it holds."""
        with self._own() as store:
            remember(store, self.spread)
            return store.read([]).knowledge.base

    def fold(self, numbers: Collection[int], stopped: Stopped) -> Uncounted | None:
        """Fold until `stopped()`: everything, or the shards of these numbers, or those that a group gives.

        What was read and does not count; None of shards, because it is their routers that read it.
        """
        _check(numbers, self.spread.shards, self.pipeline.name)
        if self.spread.whole:
            with self._own() as store:
                consumer = FoldConsumer(self.pipeline, store, self.bootstrap, self.most, self.schemas, self.remembers)
                consumer.run(stopped)
            return consumer.tally.total
        shard = partial(self._shard, self.remember())
        crew = Crew(self.bootstrap, [entity_topic(self.pipeline.name)], shard, self.most)
        with self._ownership(numbers, entity_topic(self.pipeline.name), "fold") as ownership:
            crew.run(ownership, stopped)
        return None

    def route(self, numbers: Collection[int], stopped: Stopped) -> Routed:
        """Route until `stopped()` the partitions of these numbers, or those that a group gives; what was done."""
        if self.spread.whole:
            raise UserError(
                f"the topics of {self.pipeline.name} have one partition, of which nothing is routed",
                where=self.bootstrap,
                next_step=f"{command('stream', 'fold', self.pipeline.reference)} reads them as they are",
            )
        _check(numbers, self.spread.partitions, self.pipeline.name)
        self.remember()
        routers: list[Router] = []
        topics = [stream_topic(self.pipeline.name, stream.name) for stream in self.pipeline.streams]
        with Producer(self.bootstrap, linger_ms=0, largest=LARGEST + 2**20) as producer:

            def router(number: int) -> Router:
                with _kept(self.opened(self.spread.router(self.pipeline.name, number))) as store:
                    made = Router(
                        self.pipeline,
                        store,
                        producer,
                        self.spread,
                        number,
                        schemas=self.schemas,
                        remembers=self.remembers,
                    )
                    routers.append(made)
                return routers[-1]

            scored = stream_topic(self.pipeline.name, self.pipeline.events.name)
            with self._ownership(numbers, scored, "route") as ownership:
                Crew(self.bootstrap, topics, router, self.most).run(ownership, stopped)
        return sum((one.routed for one in routers), Routed())

    def _shard(self, before: int, number: int) -> ShardFold:
        """The fold of a shard; Outage if the pipeline was started from history when it was whole, and the shard not."""
        with _kept(self.opened(self.spread.shard(self.pipeline.name, number))) as store:
            if store.read([]).knowledge.base < before:
                raise Outage(
                    f"this shard knows nothing of base {before}, from which the whole store was started",
                    where=self.spread.shard(self.pipeline.name, number),
                    next_step="run the flow `features`: it starts every shard from history",
                )
            return ShardFold(self.pipeline, store, self.spread, number, remembers=self.remembers)

    @contextmanager
    def _own(self) -> Iterator[TileStore]:
        store = self.opened(self.pipeline.name)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def _ownership(self, numbers: Collection[int], topic: str, kind: str) -> Iterator[Ownership]:
        if numbers:
            yield Named(numbers)
            return
        group = f"{self.pipeline.name}.{kind}"
        with Member(self.bootstrap, topic, group, session_ms=self.session_ms) as member:
            yield member


@contextmanager
def _kept(store: TileStore) -> Iterator[TileStore]:
    """A store that stays open, unless the block fails."""
    try:
        yield store
    except BaseException:
        store.close()
        raise


def _check(numbers: Collection[int], count: int, where: str) -> None:
    unknown = sorted(set(numbers) - set(range(count)))
    if unknown:
        raise UserError(f"there is no partition {unknown[0]}", where=where, allowed=f"0 to {count - 1}")
