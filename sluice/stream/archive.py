"""The archive: every record of a pipeline's topics into the lake, once, a commit every few seconds.

Streams go to bronze as they are; the ingest job makes history of them. Answers go to `predictions`, and what is no
answer to `predictions_refused`. The last offset is part of the same Delta commit as the rows, so that a restart neither
loses nor doubles a record; when a second archive takes over, the first one's next commit is refused, and it ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.engine.store import Partition
from sluice.errors import Outage
from sluice.lake.forgetting.erasers import unforgotten
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.schemas import kept
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
        before, last, forgotten = self._reached(partition), records[-1].offset, self.remembers()
        if partition[0] == prediction_topic(self.pipeline.name):
            rows, refused = prediction_rows(records)
            rows, refused = unforgotten(self.pipeline, forgotten, rows, refused)
            self._keep_refused(partition, refused, last)
        else:
            rows = self._raw(records, forgotten)
        self.lake.append_moving(self.tables[partition[0]], rows, _application(partition), before, last)
        self._last[partition] = last

    def _raw(self, records: Sequence[Record], forgotten: Forgotten) -> pa.Table:
        """Raw events; of what was forgotten its place alone."""
        stream = next(
            one for one in self.pipeline.streams if stream_topic(self.pipeline.name, one.name) == records[0].topic
        )
        rows = bronze_rows(records, batch="")
        schemas = kept(self.lake) if forgotten and stream.format != "json" else {}
        return forgotten.erased(stream, rows, schemas)

    def _keep_refused(self, partition: Partition, refused: pa.Table, last: int) -> None:
        """Keep records that are no answers; after a crash between the two tables they are here already."""
        held = self.lake.reached_by(REFUSED, _application(partition))
        fresh = refused.filter(pc.greater(refused.column("position"), -1 if held is None else held))
        if len(fresh):
            self.lake.append_moving(REFUSED, fresh, _application(partition), held, last)

    def _start(self, partition: Partition) -> int | None:
        last = self._reached(partition)
        return None if last is None else last + 1

    def _reached(self, partition: Partition) -> int | None:
        if partition not in self._last:
            self._last[partition] = self.lake.reached_by(self.tables[partition[0]], _application(partition))
        return self._last[partition]


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
    reached = archive.lake.reached_by(archive.tables[partition[0]], _application(partition))
    return reached is not None and reached >= offset


def _application(partition: Partition) -> str:
    topic, number = partition
    return f"archive:{topic}/{number}"
