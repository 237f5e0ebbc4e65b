"""What Kafka's client raises, as the error that tells a person what to do."""

from __future__ import annotations

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
