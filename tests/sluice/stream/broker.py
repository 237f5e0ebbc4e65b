"""A real Kafka broker with a home and ports of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice.local import services
from sluice.local.ports import free_port, is_taken
from sluice.local.processes import stop
from sluice.local.records import Records
from sluice.settings import settings


@dataclass
class Broker:
    """The embedded broker, to start, stop and kill; what it holds outlives all three."""

    home: Path
    port: int = 0

    @property
    def bootstrap(self) -> str:
        return f"127.0.0.1:{self.port}"

    def up(self) -> None:
        self.port = self.port or free_port(26_000 + os.getpid() % 4_000)
        with self._settings():
            services.up(["kafka"])

    def down(self) -> None:
        with self._settings():
            services.down(["kafka"])

    def kill(self) -> None:
        """End it without a word (kill -9)."""
        record = Records(self.home).read("kafka")
        assert record is not None
        stop(record, patience=0.0)
        while is_taken(self.port) or is_taken(self.port + 1):
            # its threads still die, and hold what it listened on
            time.sleep(0.02)

    @contextmanager
    def _settings(self) -> Iterator[None]:
        given = {
            "SLUICE_HOME": str(self.home),
            "SLUICE_KAFKA_PORT": str(self.port),
            "SLUICE_KAFKA_CONTROLLER_PORT": str(self.port + 1),
        }
        with pytest.MonkeyPatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            settings.cache_clear()
            try:
                yield
            finally:
                settings.cache_clear()
