"""Topics in memory: the twin of a broker, for tests and embedded use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

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
    """Sends payloads to lists, one partition for each topic."""

    records: dict[str, list[MemoryRecord]] = field(default_factory=dict)

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        at: int,
        key: bytes | None = None,  # noqa: ARG002 one partition holds every key
        headers: Headers | None = None,
        stored: Callable[[int], None] | None = None,
    ) -> None:
        """Store one record; `at` is the event clock in microseconds, `stored` is called with its offset."""
        held = self.records.setdefault(topic, [])
        record = MemoryRecord(topic, 0, len(held), at // 1000, payload, headers or ())
        held.append(record)
        if stored is not None:
            stored(record.offset)

    def flush(self) -> None:
        """Everything is stored already."""
