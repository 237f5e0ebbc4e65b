"""The archive: every record of a pipeline's topics into the lake, once, a commit every few seconds.

Streams go to bronze as they are; the ingest job makes history of them. Answers go to `predictions`, and what is no
answer to `predictions_refused`. The last offset is part of the same Delta commit as the rows, so that a restart neither
loses nor doubles a record; when a second archive takes over, the first one's next commit is refused, and it ends.
What a job has brought beside it (`stream.backlog`) it passes over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.store import Partition
from sluice.errors import Outage
from sluice.lake.forgetting.erasers import unforgotten
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.schemas import Schemas
from sluice.lake.tables import Lake
from sluice.stream.predictions import prediction_rows
from sluice.stream.records import Record, bronze_rows, by_partition
from sluice.stream.subscription import Subscription
from sluice.stream.topics import prediction_topic, stream_topic

REFUSED = "predictions_refused"
"""The table of what came in the topic of answers and is none."""


@dataclass
class Archive:
    """Copies topics to tables until told to stop."""

    pipeline: Pipeline
    lake: Lake
    bootstrap: str
    every_s: float = 2.0
    most: int = 20_000
    remembers: Remembers = nothing
    """What was forgotten, asked again before every commit."""
    schemas: Schemas | None = None
    """Where registered schemas are; by default in the lake alone."""
    _last: dict[Partition, int | None] = field(default_factory=dict)
    """The last offset of each partition that is in the lake, as far as this archive knows."""

    def run(self, stopped: Callable[[], bool]) -> None:
        """Archive until `stopped()`, and then what has been read by then."""
        with Subscription(self.bootstrap, list(self.tables), self._start, most=self.most) as subscription:
            waiting: list[Record] = []
            written = time.monotonic()
            while not stopped():
                waiting += subscription.poll(200)
                if waiting and (time.monotonic() - written >= self.every_s or len(waiting) >= self.most):
                    self.write(waiting)
                    waiting, written = [], time.monotonic()
            self.write(waiting)

    @property
    def tables(self) -> dict[str, str]:
        """Where each topic goes; answers last, so that what they were computed from is there before them."""
        bronze = {
            stream_topic(self.pipeline.name, stream.name): f"events/{stream.name}" for stream in self.pipeline.streams
        }
        return {**bronze, prediction_topic(self.pipeline.name): "predictions"}

    def write(self, records: Sequence[Record]) -> None:
        """Append records to their tables, one commit for each partition; Outage when another archive was there."""
        groups = by_partition(records)
        order = list(self.tables)
        for partition in sorted(groups, key=lambda place: (order.index(place[0]), place[1])):
            self._write(partition, groups[partition])

    def _write(self, partition: Partition, records: Sequence[Record]) -> None:
        table, application, forgotten = self.tables[partition[0]], application_of(partition), self.remembers()
        while fresh := self._fresh(partition, records):
            before, last = self._reached(partition), fresh[-1].offset
            if partition[0] == prediction_topic(self.pipeline.name):
                rows, refused = prediction_rows(fresh)
                rows, refused = unforgotten(self.pipeline, forgotten, rows, refused)
                self._keep_refused(partition, refused, last)
            else:
                schemas = self.schemas or Schemas(self.lake, None)
                rows = bronze_rows(fresh, batch="")
                rows = without_forgotten(schemas, self._stream(partition[0]), rows, forgotten)
            try:
                self.lake.append_moving(table, rows, application, before, last)
            except Outage:
                if not self._was_brought(partition):
                    raise
            else:
                self._last[partition] = last

    def _fresh(self, partition: Partition, records: Sequence[Record]) -> list[Record]:
        """The records that are not in the lake yet."""
        reached = self._reached(partition)
        return [record for record in records if reached is None or record.offset > reached]

    def _was_brought(self, partition: Partition) -> bool:
        """Whether it was a job that has brought records beside this archive, which then goes on behind them."""
        table, before = self.tables[partition[0]], self._last.get(partition)
        stands, brought = (self.lake.reached_by(table, name(partition)) for name in (application_of, brought_by))
        if stands is None or stands != brought or stands == before:
            return False
        self._last[partition] = stands
        return True

    def _stream(self, topic: str) -> Stream:
        return next(one for one in self.pipeline.streams if stream_topic(self.pipeline.name, one.name) == topic)

    def _keep_refused(self, partition: Partition, refused: pa.Table, last: int) -> None:
        """Keep records that are no answers; after a crash between the two tables they are here already."""
        held = self.lake.reached_by(REFUSED, application_of(partition))
        fresh = refused.filter(pc.greater(refused.column("position"), -1 if held is None else held))
        if len(fresh):
            self.lake.append_moving(REFUSED, fresh, application_of(partition), held, last)

    def _start(self, partition: Partition) -> int | None:
        last = self._reached(partition)
        return None if last is None else last + 1

    def _reached(self, partition: Partition) -> int | None:
        if partition not in self._last:
            self._last[partition] = self.lake.reached_by(self.tables[partition[0]], application_of(partition))
        return self._last[partition]


def without_forgotten(schemas: Schemas, stream: Stream, rows: pa.Table, forgotten: Forgotten) -> pa.Table:
    """Raw events of a topic; of what was forgotten its place alone.

    Only then they are looked into; RegistryDown when the schema of one is neither in the lake nor to be had.
    """
    known = schemas.of(stream, rows.column("payload").to_pylist()) if forgotten else {}
    return forgotten.erased(stream, rows, known)


def wait_until_archived(pipeline: Pipeline, lake: Lake, bootstrap: str, *, patience_s: float = 60.0) -> None:
    """Wait until the lake holds everything that is in the pipeline's topics now; Outage if it does not come to that."""
    archive = Archive(pipeline, lake, bootstrap)
    with Subscription(bootstrap, list(archive.tables), lambda _: None) as subscription:
        ends = subscription.ends()
    deadline = time.monotonic() + patience_s
    while missing := [place for place, end in ends.items() if end > 0 and not _holds(archive, place, end - 1)]:
        if time.monotonic() > deadline:
            raise Outage(
                f"the archive has not come to the end of {missing[0][0]} in {patience_s:.0f} s",
                where=lake.root,
                next_step="see that the archive runs (sluice stream archive PIPELINE) and read its log",
            )
        time.sleep(0.2)


def _holds(archive: Archive, partition: Partition, offset: int) -> bool:
    reached = archive.lake.reached_by(archive.tables[partition[0]], application_of(partition))
    return reached is not None and reached >= offset


def application_of(partition: Partition) -> str:
    """What the mark is called that says how far a partition is in the lake."""
    topic, number = partition
    return f"archive:{topic}/{number}"


def brought_by(partition: Partition) -> str:
    """What the mark is called that says how far a job has brought a partition, in the commit that moved the other."""
    topic, number = partition
    return f"brought:{topic}/{number}"
