"""The producer: events with their clock's time as the record timestamp, acknowledged by every replica."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from kafka import KafkaProducer
from kafka.errors import KafkaError

from sluice.errors import ServiceDown


class Producer:
    """Sends payloads to topics; `flush` returns when all of them are stored, or raises ServiceDown."""

    def __init__(self, bootstrap: str, *, linger_ms: int = 5) -> None:
        self._errors: list[BaseException] = []
        try:
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap,
                acks="all",
                linger_ms=linger_ms,
                enable_idempotence=True,
                key_serializer=None,
                value_serializer=None,
            )
        except KafkaError as error:
            raise ServiceDown(f"Kafka does not answer ({error})", where=bootstrap, next_step="sluice up") from None

    def send(
        self,
        topic: str,
        payload: bytes,
        *,
        at: int,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        stored: Callable[[int], None] | None = None,
    ) -> None:
        """Hand over one record; `at` is the event clock in microseconds, `stored` is called with its offset."""
        future = self._producer.send(topic, value=payload, key=key, timestamp_ms=at // 1000, headers=headers or [])
        future.add_errback(self._errors.append)
        if stored is not None:
            future.add_callback(lambda metadata: stored(metadata.offset))

    def flush(self) -> None:
        """Wait until everything handed over is stored; ServiceDown if something is not."""
        self._producer.flush()
        if self._errors:
            failed, self._errors = self._errors, []
            raise ServiceDown(f"{len(failed)} records were not stored ({failed[0]})", where="Kafka producer")

    def close(self) -> None:
        """Flush and let go of the connection."""
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
