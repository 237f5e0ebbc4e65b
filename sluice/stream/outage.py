"""What Kafka's client raises, as the error that tells a person what to do."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import KafkaError

from sluice.errors import ServiceDown

PATIENCE = {"bootstrap_timeout_ms": 10_000, "reconnect_backoff_max_ms": 1_000}
"""What every client is made with: how long it waits for a first answer, and between two attempts later."""


@contextmanager
def answering(bootstrap: str) -> Iterator[None]:
    """ServiceDown in place of anything that Kafka's client raises in the block."""
    try:
        yield
    except KafkaError as error:
        raise ServiceDown(
            f"Kafka does not answer ({error or type(error).__name__})", where=bootstrap, next_step="sluice up kafka"
        ) from error


class _Connecting:
    """Keeps Kafka's client from logging while any thread connects: the same lines every second, and one error after.

    Once it is connected its warnings are told, which matter in a long run.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, logging.NOTSET
        self._log = logging.getLogger("kafka")

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = self._log.level
                self._log.setLevel(logging.CRITICAL + 1)
            self._inside += 1

    def _leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._log.setLevel(self._before)


connecting = _Connecting()
