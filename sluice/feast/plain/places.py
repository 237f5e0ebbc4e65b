"""Which row store a URI names."""

from __future__ import annotations

from pathlib import Path

from sluice.errors import SettingsError
from sluice.feast.plain.rows import RowStore


def open_rows(uri: str, project: str) -> RowStore:
    """The rows of a Feast project at the online store's URI; in a folder of SQLite files, a file of its own."""
    scheme, _, place = uri.partition("://")
    if scheme == "sqlite":
        from sluice.feast.plain.sqlite_rows import SqliteRows

        folder = Path(place[1:] if place.startswith("//") else place)
        return SqliteRows(folder / f"feast-{project}.db")
    if scheme in {"redis", "rediss"}:
        from sluice.feast.plain.redis_rows import RedisRows

        return RedisRows(uri, project)
    raise SettingsError(
        f"no online store speaks {scheme!r}",
        where="SLUICE_ONLINE",
        allowed=["sqlite:///<folder>", "redis://host:port/database"],
    )
