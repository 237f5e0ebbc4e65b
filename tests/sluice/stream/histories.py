"""A lake whose history is made from a feed: some of it delivered in files, the rest archived from topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import encode
from sluice.engine.fold import load_base
from sluice.engine.store import TileStore
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from sluice.lake.workers import Here
from sluice.stream.archive import Archive
from sluice.stream.memory import MemoryRecord, MemoryTopics
from spark_jobs.ingest import ingest
from tests.doctor import ailments
from tests.sluice.stream.feeds import Message, send
from tests.sluice.stream.reference import tiles_of

FILE = Path(__file__).with_name("payments.py")


@dataclass
class History:
    """A pipeline's lake in a folder, and what its topics hold."""

    folder: Path
    pipeline: Pipeline
    reference: str = str(FILE)
    topics: MemoryTopics = field(default_factory=MemoryTopics)
    _archived: dict[str, int] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"), self.pipeline.name)

    def deliver(self, batch: str, messages: Sequence[Message]) -> None:
        """Ingest messages as JSON lines in a file for each stream."""
        files = []
        for stream in dict.fromkeys(message.stream for message in messages):
            path = self.folder / f"{batch}-{stream}.jsonl"
            path.write_bytes(b"\n".join(_line(message) for message in messages if message.stream == stream))
            files.append((stream, path))
        ingest(Here(), Delivery(self.reference, str(self.folder / "lake"), batch, messages[-1].at, files=files))

    def produce(self, messages: Sequence[Message]) -> list[MemoryRecord]:
        """Produce messages to the topics; the records that are new."""
        before = {topic: len(records) for topic, records in self.topics.records.items()}
        send(self.pipeline, self.topics, messages)
        return [record for topic, records in self.topics.records.items() for record in records[before.get(topic, 0) :]]

    def archive(self) -> None:
        """Archive what the topics hold and the lake does not."""
        waiting = [
            record
            for topic, records in self.topics.records.items()
            for record in records[self._archived.get(topic, 0) :]
        ]
        Archive(self.pipeline, self.lake, bootstrap="").write(waiting)
        self._archived = {topic: len(records) for topic, records in self.topics.records.items()}

    def ingest_archived(self, batch: str, at: int) -> None:
        """Make history of what was archived."""
        ingest(Here(), Delivery(self.reference, str(self.folder / "lake"), batch, at, from_bronze=True))

    def ailments(self) -> list[str]:
        """What the doctor finds wrong with the lake."""
        return ailments(self.lake, self.pipeline)

    def versions(self) -> Mapping[str, pa.Table]:
        """Every version of every event in published history, encoded."""
        return {
            stream.name: encode(self.lake.read(f"silver/{stream.name}"), stream) for stream in self.pipeline.streams
        }

    def load(self, store: TileStore) -> int:
        """Start a store from published history; the base."""
        base, tiles, events = self.base()
        load_base(self.pipeline, store, base, tiles, events)
        return base

    def base(self) -> tuple[int, Mapping[str, pa.Table], Mapping[str, pa.Table]]:
        """The version of published history, its tiles by view, and its events by stream."""
        events = self.versions()
        return self.lake.version("batches"), tiles_of(self.pipeline, events), events


def _line(message: Message) -> bytes:
    """The event as a row of a file, where revision and operation are columns."""
    if not message.headers:
        return message.payload.replace(b"\n", b" ") or b"{"
    control = {name: value.decode() for name, value in message.headers}
    return orjson.dumps({**orjson.loads(message.payload), **control})
