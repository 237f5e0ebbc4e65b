"""The producer: events with their clock's time as the record timestamp, acknowledged by every replica."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from kafka import KafkaProducer
from kafka.errors import MessageSizeTooLargeError

from sluice.errors import DataError, ServiceDown
from sluice.stream.outage import PATIENCE, answering, connecting

Headers = list[tuple[str, bytes]]


class Sender(Protocol):
    """Sends payloads to topics, in order within each."""

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
        """Hand over one record; `at` is the event clock in microseconds, `stored` is called with its place.

        The partition is the one named, else that of the key (`keys.record_key`).
        """
        ...

    def flush(self) -> None:
        """Wait until everything handed over is stored; ServiceDown if something is not."""
        ...


class Producer:
    """Sends payloads to Kafka; a record is in its topic once, also when the connection broke in between."""

    def __init__(self, bootstrap: str, *, linger_ms: int = 5, largest: int = 2**20) -> None:
        self._bootstrap = bootstrap
        self._errors: list[BaseException] = []
        with answering(bootstrap), connecting():
            self._producer = KafkaProducer(
                bootstrap_servers=bootstrap,
                acks="all",
                linger_ms=linger_ms,
                enable_idempotence=True,
                max_request_size=largest,
                **PATIENCE,
            )

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
        """Hand over one record; `at` is the event clock in microseconds, `stored` is called with its place.

        The partition is the one named, else that of the key (`keys.record_key`).
        """
        with answering(self._bootstrap):
            try:
                future = self._producer.send(
                    topic,
                    value=payload,
                    key=key,
                    partition=partition,
                    timestamp_ms=at // 1000,
                    headers=headers or [],
                )
            except MessageSizeTooLargeError as error:
                raise DataError(str(error), where=topic, next_step="send it in smaller events") from None
        future.add_errback(self._errors.append)
        if stored is not None:
            future.add_callback(lambda metadata: stored(metadata.partition, metadata.offset))

    def flush(self) -> None:
        """Wait until everything handed over is stored; ServiceDown if something is not."""
        with answering(self._bootstrap):
            self._producer.flush()
        self.raise_failed()

    def raise_failed(self) -> None:
        """ServiceDown if something that was handed over could not be stored; waits for nothing."""
        failed, self._errors = self._errors, []
        if failed:
            raise ServiceDown(
                f"{len(failed)} records were not stored ({failed[0]})",
                where=self._bootstrap,
                next_step="send them again",
            )

    def close(self) -> None:
        """Flush and let go of the connection."""
        self._producer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
