"""A real redis-server of its own on a free loopback port, for the tests of everything that is kept in Redis."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sluice.local import services
from sluice.local.ports import free_port
from sluice.local.processes import stop
from sluice.local.records import Records
from sluice.settings import settings


@dataclass
class RedisServer:
    """The embedded server, to start, stop and kill; what it holds outlives all three."""

    home: Path
    port: int = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def up(self) -> None:
        self.port = self.port or free_port(16_500 + os.getpid() % 4_000)
        with self._settings():
            services.up(["redis"])

    def down(self) -> None:
        with self._settings():
            services.down(["redis"])

    def kill(self) -> None:
        """End it without a word (kill -9)."""
        record = Records(self.home).read("redis")
        assert record is not None
        stop(record, patience=0.0)

    def save(self, folder: Path) -> None:
        """Copy what it has on its disk at this moment."""
        shutil.copytree(self.home / "redis", folder)

    def restore(self, folder: Path) -> None:
        """Kill it and start it with what a copy says, as if it had lost the end of its file."""
        self.kill()
        shutil.rmtree(self.home / "redis")
        shutil.copytree(folder, self.home / "redis")
        self.up()

    def empty(self) -> None:
        """Forget everything that it holds."""
        from redis import Redis

        with Redis.from_url(self.url) as client:
            client.flushall()

    @contextmanager
    def _settings(self) -> Iterator[None]:
        given = {"SLUICE_HOME": str(self.home), "SLUICE_ONLINE": "redis", "SLUICE_REDIS_PORT": str(self.port)}
        with pytest.MonkeyPatch.context() as environment:
            for name, value in given.items():
                environment.setenv(name, value)
            settings.cache_clear()
            try:
                yield
            finally:
                settings.cache_clear()
