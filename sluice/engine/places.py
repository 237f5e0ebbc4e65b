"""Which tile store a URI names."""

from __future__ import annotations

import functools
from pathlib import Path

from sluice.engine.store import MemoryStore, TileStore
from sluice.errors import SettingsError


def open_store(uri: str, pipeline: str, *, read_only: bool = False) -> TileStore:
    """The online store of a pipeline at a URI such as `sqlite:////var/lib/sluice/online` or `redis://host:6379/0`.

    `memory://<name>` is for tests: one store for all who name it in this process, gone with it.
    """
    scheme, _, place = uri.partition("://")
    if scheme == "sqlite":
        from sluice.engine.sqlite import SqliteStore

        folder = Path(place[1:] if place.startswith("//") else place)
        return SqliteStore(folder / f"{pipeline}.db", read_only=read_only)
    if scheme in {"redis", "rediss"}:
        from sluice.engine.redis import RedisStore

        return RedisStore(uri, pipeline, read_only=read_only)
    if scheme == "memory":
        return _in_memory(place, pipeline)
    raise SettingsError(
        f"no online store speaks {scheme!r}",
        where="SLUICE_ONLINE",
        allowed=["sqlite:///<folder>", "redis://host:port/database", "rediss://host:port/database"],
    )


@functools.cache
def _in_memory(_name: str, _pipeline: str) -> MemoryStore:
    return MemoryStore()
