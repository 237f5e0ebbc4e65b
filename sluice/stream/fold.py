"""The fold consumer: topics → contract → tiles, exactly once in effect.

It reads from the positions that stand in the store beside the tiles, drops what the contract refuses, and writes each
batch with its new positions in one transaction. Whatever dies and whenever, the next start goes on where the last
committed batch ended. It writes nothing to the lake but a registered schema that it is the first to meet; refused
events are counted here, and kept there by the ingest job, by the same code.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import encode
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.forget import forget_expired
from sluice.engine.store import FENCE, Knowledge, Partition, Position, StoreDown, TileStore, standing
from sluice.errors import Outage
from sluice.lake.contract import Checked, check
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.schemas import RegistryDown, Schemas
from sluice.lake.watermarks import with_watermarks
from sluice.stream.records import Record, bronze_rows, by_partition
from sluice.stream.subscription import Subscription
from sluice.stream.tidying import Tidying
from sluice.stream.topics import source_of, stream_topic
from sluice.stream.uncounted import Tally

logger = logging.getLogger(__name__)

_LOOK_MS = 500
"""How long to wait for records before looking whether to stop."""
NOTHING = nothing()
AGAIN_S = 0.5
"""How long to wait for a store that went away before it is asked again."""


@dataclass
class FoldConsumer:
    """Folds the streams of a pipeline into a store until told to stop."""

    pipeline: Pipeline
    store: TileStore
    bootstrap: str
    most: int = 1000
    schemas: Schemas | None = None
    """Where registered schemas are; not needed where all topics are JSON."""
    remembers: Remembers = nothing
    """What was forgotten: it is asked at the start, and whenever the store has forgotten something."""
    tally: Tally = field(init=False)
    """What it has read so far and does not count."""
    _forgotten: Forgotten = field(default=Forgotten(), init=False)
    _tidying: Tidying = field(init=False)

    def __post_init__(self) -> None:
        self.tally = Tally(self.pipeline, self.pipeline.name)
        self._tidying = Tidying(self.pipeline)
        self._forgotten = self.remembers()

    def run(self, stopped: Callable[[], bool]) -> None:
        """Fold until `stopped()`; LostPartition when another consumer has taken over.

        A store that goes away later is waited for, as is a schema registry; the fold goes on from the positions that
        the store then has.
        """
        known = self._read()
        topics = [stream_topic(self.pipeline.name, stream.name) for stream in self.pipeline.streams]
        with Subscription(self.bootstrap, topics, known.offset, most=self.most) as subscription:
            while not stopped():
                records = subscription.poll(_LOOK_MS)
                if not records:
                    continue
                try:
                    sources = subscription.partitions
                    known = replace(known, positions=self.fold(records, known.positions, {*sources, FENCE}))
                    watermark = self._tidying.due(known.positions.values())
                    if watermark is not None:
                        forget_expired(
                            self.pipeline, self.store, watermark, standing(known.positions, {*sources, FENCE})
                        )
                except (StoreDown, RegistryDown) as error:
                    logger.warning(
                        "%s\n  the fold waits, and goes on from the positions that the store then has", error
                    )
                    known = self._as_stored(known, stopped)
                    subscription.seek(known.offset)

    def fold(
        self, records: Sequence[Record], positions: Mapping[Partition, Position], sources: Iterable[Partition] = ()
    ) -> dict[Partition, Position]:
        """Fold records that follow the given positions; the positions afterwards.

        LostPartition when any of those, or of the other sources, has moved since.
        """
        batch = micro_batch(self.pipeline, records, positions, sources, schemas=self.schemas, forgotten=self._forgotten)
        fold(self.pipeline, self.store, batch)
        self.tally.add(batch)
        return {**positions, **batch.positions}

    def _read(self) -> Knowledge:
        """What the store knows, and then what was forgotten by now: whatever is forgotten later moves the fence."""
        known = self.store.read([]).knowledge
        self._forgotten = self.remembers()
        return known

    def _as_stored(self, known: Knowledge, stopped: Callable[[], bool]) -> Knowledge:
        """What a store knows that went away, as soon as it is back; Outage if it came back with another base."""
        while not stopped():
            time.sleep(AGAIN_S)
            try:
                stored = self._read()
            except StoreDown:
                continue
            if stored.base != known.base:
                raise Outage(
                    f"the store came back with base {stored.base}, and had base {known.base}",
                    where=self.pipeline.name,
                    next_step="see that it keeps what it is given; run the flow `features`, then start the fold again",
                )
            return stored
        return known


def micro_batch(
    pipeline: Pipeline,
    records: Sequence[Record],
    positions: Mapping[Partition, Position],
    sources: Iterable[Partition] = (),
    *,
    schemas: Schemas | None = None,
    forgotten: Forgotten = NOTHING,
) -> MicroBatch:
    """Encoded events of records that passed the contract and are not forgotten, with the watermark each was met with.

    Records before a partition's position have had their effect and are left out; it moves past refused ones too. Of all
    `sources` that feed the store none may have moved, not only those of the batch: what it changes was computed beside
    what the others had brought by then.
    """
    streams = {stream_topic(pipeline.name, stream.name): stream for stream in pipeline.streams}
    events: dict[str, list[pa.Table]] = {}
    moved: dict[Partition, Position] = {}
    refused: Counter[str] = Counter()
    for partition, group in by_partition(records).items():
        held = positions.get(partition, Position(0, None))
        waiting = [record for record in group if record.offset >= held.offset]
        if waiting:
            stream = streams[partition[0]]
            checked = _checked(stream, waiting, schemas)
            accepted, watermark = _marked(checked.accepted, waiting, held.watermark)
            events.setdefault(stream.name, []).append(encode(forgotten.standing(stream, accepted), stream))
            refused.update(checked.rejected.column("rule").to_pylist())
            moved[partition] = Position(waiting[-1].offset + 1, watermark)
    tables = {name: pa.concat_tables(parts) for name, parts in events.items()}
    return MicroBatch(tables, standing(positions, {*sources, *moved}) if moved else {}, moved, refused)


def _checked(stream: Stream, records: Sequence[Record], schemas: Schemas | None) -> Checked:
    """What the contract accepts of one partition's records, and what it refuses."""
    known = {} if schemas is None else schemas.of(stream, (record.value for record in records))
    return check(stream, bronze_rows(records, batch=""), batch="", schemas=known)


def _marked(accepted: pa.Table, records: Sequence[Record], watermark: int | None) -> tuple[pa.Table, int | None]:
    """Accepted events with the watermark that each was met with, and the partition's watermark after its records."""
    place = f"{source_of(records[0].topic)}/{records[0].partition}"
    marked, after = with_watermarks(accepted, {} if watermark is None else {place: watermark})
    return marked, after.get(place)
