"""The archive: every record of a pipeline's topics into the lake, once, a commit every few seconds.

Streams go to bronze as they are; the ingest job makes history of them. Answers go to `predictions`. The last offset is
part of the same Delta commit as the rows, so that a restart neither loses nor doubles a record.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.stream.predictions import PREDICTIONS, prediction_row
from sluice.stream.records import Record, bronze_rows
from sluice.stream.subscription import Subscription
from sluice.stream.topics import prediction_topic, stream_topic


@dataclass
class Archive:
    """Copies topics to tables until told to stop."""

    pipeline: Pipeline
    lake: Lake
    bootstrap: str
    every_s: float = 2.0
    most: int = 20_000

    def run(self, stopped: Callable[[], bool]) -> None:
        """Archive until `stopped()`, and what is waiting then."""
        with Subscription(self.bootstrap, list(self.tables), self._positions(), most=self.most) as subscription:
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
        """Where each topic goes."""
        bronze = {
            stream_topic(self.pipeline.name, stream.name): f"events/{stream.name}" for stream in self.pipeline.streams
        }
        return {**bronze, prediction_topic(self.pipeline.name): "predictions"}

    def write(self, records: Sequence[Record]) -> None:
        """Append records to their tables, one commit for each partition."""
        places = sorted({(record.topic, record.partition) for record in records})
        for topic, partition in places:
            mine = [record for record in records if (record.topic, record.partition) == (topic, partition)]
            rows = self._rows(topic, mine)
            self.lake.append_reaching(self.tables[topic], rows, _application(topic, partition), mine[-1].offset)

    def _rows(self, topic: str, records: Sequence[Record]) -> pa.Table:
        if topic == prediction_topic(self.pipeline.name):
            rows = [prediction_row(record.value or b"{}", record.offset) for record in records]
            return pa.Table.from_pylist(rows, schema=PREDICTIONS)
        return bronze_rows(records, batch="")

    def _positions(self) -> dict[tuple[str, int], int]:
        found = {}
        for topic, table in self.tables.items():
            reached = self.lake.reached_by(table, _application(topic, 0))
            if reached is not None:
                found[topic, 0] = reached + 1
        return found


def _application(topic: str, partition: int) -> str:
    return f"archive:{topic}/{partition}"
