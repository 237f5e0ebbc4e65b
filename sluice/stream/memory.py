"""Topics in memory: the twin of a broker, for tests and embedded use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sluice.stream.keys import partition_of
from sluice.stream.producer import Headers


@dataclass(frozen=True)
class MemoryRecord:
    """One message; `timestamp` in milliseconds, as Kafka keeps it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass
class MemoryTopics:
    """Sends payloads to lists, one for each topic, whose records lie in as many partitions as each topic has."""

    records: dict[str, list[MemoryRecord]] = field(default_factory=dict)
    partitions: int = 1
    _ends: Counter[tuple[str, int]] = field(default_factory=Counter, init=False)

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        at: int,
        key: bytes | None = None,
        partition: int | None = None,
        headers: Headers | None = None,
        stored: Callable[[int, int], None] | None = None,
    ) -> None:
        """Store one record; `at` is the event clock in microseconds, `stored` is called with its place.

        A record without key goes to any partition, here to the one whose turn it is.
        """
        held = self.records.setdefault(topic, [])
        if partition is None:
            partition = len(held) % self.partitions if key is None else partition_of(key, self.partitions)
        offset = self._ends[topic, partition]
        self._ends[topic, partition] += 1
        record = MemoryRecord(topic, partition, offset, at // 1000, payload, headers or ())
        held.append(record)
        if stored is not None:
            stored(partition, offset)

    def flush(self) -> None:
        """Everything is stored already."""
