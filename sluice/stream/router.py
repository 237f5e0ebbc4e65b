"""The router of one partition: it reads that partition of every stream, and tells each shard what concerns it.

A batch is one transaction of the router's store: facts, positions, and the parcels to send. They are sent after it, and
those of the last batch once more at a start. So all parcels are those of one history of batches, whoever sends them and
however often, and a shard that has one of them has all before it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from sluice.declare.pipeline import Pipeline
from sluice.engine.fold import MicroBatch
from sluice.engine.shards import Spread
from sluice.engine.store import OWN, Change, Fact, Partition, TileStore
from sluice.errors import DataError
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.lake.schemas import Schemas
from sluice.stream.deal import Dealt, deal
from sluice.stream.fold import micro_batch
from sluice.stream.keys import anchor_key, partition_of
from sluice.stream.owned import Owned
from sluice.stream.parcels import Moved, Parcel, meaning_of
from sluice.stream.producer import Sender
from sluice.stream.records import Record
from sluice.stream.tidying import Tidying
from sluice.stream.topics import LARGEST, entity_topic, stream_topic
from sluice.stream.uncounted import Tally, Uncounted

logger = logging.getLogger(__name__)

OUTBOX = f"{OWN}outbox"
"""Under which a router's store keeps the parcels of its last batch, by shard."""


@dataclass(frozen=True)
class Routed:
    """What a router did."""

    events: int = 0
    """Accepted events that it read."""
    fresh: int = 0
    """Versions that it had not known, but for those that are told to all."""
    waiting: int = 0
    """Those of them that had to wait for the event that they are about."""
    misplaced: int = 0
    """Those of them that do not lie in the partition of their key."""
    uncounted: Uncounted = field(default_factory=Uncounted)
    """What it read beside them, and those of them that are too late for a view."""

    def __add__(self, other: Routed) -> Routed:
        return Routed(
            self.events + other.events,
            self.fresh + other.fresh,
            self.waiting + other.waiting,
            self.misplaced + other.misplaced,
            self.uncounted + other.uncounted,
        )


class Router:
    """Routes one partition in parcels of at most `largest` bytes; what the last owner may not have sent goes first."""

    def __init__(
        self,
        pipeline: Pipeline,
        store: TileStore,
        sender: Sender,
        spread: Spread,
        number: int,
        *,
        largest: int = LARGEST,
        schemas: Schemas | None = None,
        remembers: Remembers = nothing,
    ) -> None:
        self.pipeline, self.store, self.number = pipeline, store, number
        self._schemas = schemas
        self.routed = Routed()
        self._sender, self._spread, self._largest = sender, spread, largest
        self._owned = Owned(store, number)
        # after the store was read: whatever is forgotten later moves its fence
        self._forgotten = remembers()
        self._meaning = meaning_of(pipeline, spread.shards)
        self._tidying = Tidying(pipeline)
        self._tally = Tally(pipeline, f"{pipeline.name}, partition {number}")
        left = store.read([(OUTBOX, shard) for shard in range(spread.shards)]).heads
        self._send([body for body in left if body is not None])

    @property
    def epoch(self) -> str:
        """The name of the load that started its store."""
        return self._owned.epoch

    @property
    def sources(self) -> list[Partition]:
        """The partitions that it reads."""
        return [(stream_topic(self.pipeline.name, stream.name), self.number) for stream in self.pipeline.streams]

    def offset(self, partition: Partition) -> int | None:
        """The next offset of a partition; None if nothing of it was read."""
        return self._owned.offset(partition)

    def take(self, records: Sequence[Record]) -> None:
        """Route records that follow what was routed; LostPartition when another owner has taken over."""
        batch = micro_batch(
            self.pipeline,
            records,
            self._owned.positions,
            self.sources,
            schemas=self._schemas,
            forgotten=self._forgotten,
        )
        if not batch.positions:
            return
        dealt = deal(self.pipeline, self.store, batch.events, self._spread.shards)
        parcels = [self._parcel(batch, dealt, shard).packed() for shard in range(self._spread.shards)]
        if max(map(len, parcels)) > self._largest:
            self._take_less(records)
            return
        outbox = [(OUTBOX, shard, body) for shard, body in enumerate(parcels)]
        self._owned.apply(Change(dealt.kept, outbox, (), batch.expected, batch.positions))
        self._send(parcels)
        self._count(batch, dealt)
        watermark = self._tidying.due(at for place, at in self._owned.positions.items() if place in self.sources)
        if watermark is not None:
            self._owned.forget(self.pipeline, watermark, self.sources)

    def check(self) -> None:
        """LostPartition if another owner has taken over."""
        self._owned.check()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def _parcel(self, batch: MicroBatch, dealt: Dealt, shard: int) -> Parcel:
        moved = {place: Moved(batch.expected[place] or 0, after) for place, after in batch.positions.items()}
        events = {name: table.to_pydict() for name, table in dealt.shards[shard].items()}
        return Parcel(self._owned.epoch, self._meaning, moved, events)

    def _take_less(self, records: Sequence[Record]) -> None:
        """The same in two parts, because a shard would get more than a record can hold."""
        if len(records) == 1:
            raise DataError(
                f"what is kept about one event has more than {self._largest:,} bytes",
                where=f"{records[0].topic}/{records[0].partition}, offset {records[0].offset}",
                next_step="look at who sends so many versions of it",
            )
        middle = len(records) // 2
        self.take(records[:middle])
        self.take(records[middle:])

    def _send(self, parcels: Sequence[bytes]) -> None:
        topic = entity_topic(self.pipeline.name)
        for shard, body in enumerate(parcels):
            self._sender.send(topic, body, at=0, partition=shard)
        self._sender.flush()

    def _count(self, batch: MicroBatch, dealt: Dealt) -> None:
        events = sum(map(len, batch.events.values()))
        misplaced = [fact for fact in dealt.kept if self._is_misplaced(fact)]
        if misplaced and not self.routed.misplaced:
            self._warn(misplaced[0])
        uncounted = self._tally.add(batch)
        self.routed += Routed(events, len(dealt.kept), len(dealt.waiting), len(misplaced), uncounted)

    def _is_misplaced(self, fact: Fact) -> bool:
        return partition_of(anchor_key(fact.anchor), self._spread.partitions) != self.number

    def _warn(self, fact: Fact) -> None:
        logger.warning(
            "%s/%d: event %r of %s lies here, and its key would be in partition %d\n  allowed: records keyed by the id "
            "of the event that they are about, as text, in the partition that Kafka's own clients choose",
            stream_topic(self.pipeline.name, fact.stream),
            self.number,
            fact.id,
            fact.stream,
            partition_of(anchor_key(fact.anchor), self._spread.partitions),
        )
