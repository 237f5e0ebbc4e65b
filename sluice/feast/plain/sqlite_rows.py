"""Rows of plain views in one SQLite file beside the pipelines' tiles, in WAL mode: readers never wait for a writer."""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sluice.feast.plain.rows import Row, View, forgotten_from

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    view TEXT, key BLOB, time INTEGER NOT NULL, created INTEGER, body BLOB NOT NULL, forget INTEGER,
    PRIMARY KEY (view, key)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_by_forget ON rows (forget) WHERE forget IS NOT NULL;
"""
_PUT = """
INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (view, key) DO UPDATE
    SET time = excluded.time, created = excluded.created, body = excluded.body, forget = excluded.forget
    WHERE (excluded.time, excluded.created IS NOT NULL, ifnull(excluded.created, 0))
        >= (rows.time, rows.created IS NOT NULL, ifnull(rows.created, 0))
"""
_AT_ONCE = 500
"""Keys in one statement; SQLite allows 32,766 parameters."""


class SqliteRows:
    """A row store in one file; any number of processes may use it, and threads may share the object."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.executescript(_SCHEMA)

    def write(self, view: View, rows: Sequence[Row], *, at: int, lasting: int | None = None) -> None:
        """Put rows, in their order and all of them or none; what may be forgotten by now goes."""
        with self._transaction("IMMEDIATE") as connection:
            connection.executemany(
                _PUT,
                (
                    (view, row.key, row.time, row.created, row.values, forgotten_from(row, at=at, lasting=lasting))
                    for row in rows
                ),
            )
            connection.execute("DELETE FROM rows WHERE forget < ?", (at,))

    def read(self, wanted: Sequence[tuple[View, Sequence[bytes]]]) -> list[list[Row | None]]:
        """For each view its rows of the given keys, None where there is none."""
        with self._transaction("DEFERRED"):
            return [self._rows(view, keys) for view, keys in wanted]

    def drop(self, views: Sequence[View] | None) -> None:
        """Forget every row of these views and of their versions; of all views for None."""
        with self._transaction("IMMEDIATE") as connection:
            if views is None:
                connection.execute("DELETE FROM rows")
            else:
                # "A" is the character after "@": the names between are those of the view's versions
                bounds = [(view, f"{view}@", f"{view}A") for view in views]
                connection.executemany("DELETE FROM rows WHERE view = ? OR (view >= ? AND view < ?)", bounds)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _rows(self, view: View, keys: Sequence[bytes]) -> list[Row | None]:
        found: dict[bytes, Row] = {}
        distinct = iter(dict.fromkeys(keys))
        while some := list(itertools.islice(distinct, _AT_ONCE)):
            marks = ",".join("?" * len(some))
            query = f"SELECT key, time, created, body FROM rows WHERE view = ? AND key IN ({marks})"  # noqa: S608
            found.update((row[0], Row(*row)) for row in self._connection.execute(query, (view, *some)))
        return [found.get(key) for key in keys]

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")
