"""The embedded online store: one SQLite file in WAL mode, one writer, any number of readers in other processes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from sluice.engine.store import Change, Fact, Knowledge, LostPartition, Partition, Position, Reading, Wanted
from sluice.engine.tiles import Id, Tile
from sluice.errors import Outage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS base (version INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS positions (
    topic TEXT, part INTEGER, offset INTEGER NOT NULL, watermark INTEGER, PRIMARY KEY (topic, part)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tiles (
    view TEXT, key, slot INTEGER, state BLOB NOT NULL, rows BLOB NOT NULL, ids BLOB NOT NULL,
    PRIMARY KEY (view, key, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    anchor, stream TEXT, id, revision INTEGER, hash INTEGER, op INTEGER, time INTEGER NOT NULL,
    known INTEGER NOT NULL, watermark INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (anchor, stream, id, revision, hash, op)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_by_time ON facts (time);
CREATE INDEX IF NOT EXISTS facts_by_id ON facts (stream, id);
"""
_TILES = "SELECT slot, state, rows, ids FROM tiles WHERE view = ? AND key = ? AND slot BETWEEN ? AND ? ORDER BY slot"
_FACTS = "SELECT stream, id, revision, hash, anchor, op, time, known, watermark, body FROM facts WHERE "
_PUT_TILE = "INSERT OR REPLACE INTO tiles VALUES (?, ?, ?, ?, ?, ?)"
_PUT_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteStore:
    """A tile store in one file; a transaction writes tiles, facts and positions together or not at all."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise Outage("the online store is not there yet", where=str(path), next_step="run the backfill first")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        if read_only:
            self._connection.execute("PRAGMA query_only = 1")
        else:
            # WAL with NORMAL loses no committed batch when a process dies; a power cut may, and Kafka replays it
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.executescript(_SCHEMA)

    def load(self, base: int, tiles: Iterable[tuple[str, Id, Tile]], facts: Iterable[Fact]) -> None:
        """Replace everything by the tiles and facts of a base version; positions start empty."""
        with self._transaction("IMMEDIATE") as connection:
            for table in ("base", "positions", "tiles", "facts"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 the four names above
            connection.execute("INSERT INTO base VALUES (?)", (base,))
            self._write(facts, tiles)

    def read(self, wanted: Sequence[Wanted]) -> Reading:
        """The tiles of several entities and the knowledge that they were read at."""
        with self._transaction("DEFERRED") as connection:
            found = []
            for want in wanted:
                rows = (
                    connection.execute(_TILES, (want.view, want.key, want.first, want.last))
                    if want.key is not None
                    else ()
                )
                found.append([Tile(*row) for row in rows])
            return Reading(found, self._knowledge())

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        return self._found("anchor = ?", [(anchor,) for anchor in dict.fromkeys(anchors)])

    def versions(self, names: Sequence[tuple[str, Id]]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        return self._found("stream = ? AND id = ?", list(dict.fromkeys(names)))

    def apply(self, change: Change) -> None:
        """Write a change, or raise LostPartition and write nothing."""
        with self._transaction("IMMEDIATE") as connection:
            for partition, expected in change.expected.items():
                self._expect(partition, expected)
            self._write(change.facts, change.tiles)
            connection.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
                [(topic, part, at.offset, at.watermark) for (topic, part), at in change.positions.items()],
            )

    def forget(self, before: int, slots: Mapping[str, int]) -> None:
        """Drop facts with a time before `before` and each view's tiles before its given slot."""
        with self._transaction("IMMEDIATE") as connection:
            connection.execute("DELETE FROM facts WHERE time < ?", (before,))
            connection.executemany("DELETE FROM tiles WHERE view = ? AND slot < ?", list(slots.items()))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        self._connection.execute(f"BEGIN {kind}")
        try:
            yield self._connection
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _found(self, where: str, places: Sequence[tuple[Id, ...]]) -> list[Fact]:
        found: list[Fact] = []
        for place in places:
            found.extend(Fact(*row) for row in self._connection.execute(_FACTS + where, place))
        return found

    def _expect(self, partition: Partition, expected: int | None) -> None:
        row = self._connection.execute(
            "SELECT offset FROM positions WHERE topic = ? AND part = ?", partition
        ).fetchone()
        found = row[0] if row else None
        if found != expected:
            raise LostPartition.at(partition, expected, found)

    def _knowledge(self) -> Knowledge:
        base = self._connection.execute("SELECT version FROM base").fetchone()
        rows = self._connection.execute("SELECT topic, part, offset, watermark FROM positions")
        positions = {(topic, part): Position(offset, watermark) for topic, part, offset, watermark in rows}
        return Knowledge(base[0] if base else -1, positions)

    def _write(self, facts: Iterable[Fact], tiles: Iterable[tuple[str, Id, Tile]]) -> None:
        self._connection.executemany(
            _PUT_FACT,
            (
                (f.anchor, f.stream, f.id, f.revision, f.hash, f.op, f.time, f.known, f.watermark, f.values)
                for f in facts
            ),
        )
        self._connection.executemany(
            _PUT_TILE, ((view, key, made.slot, made.state, made.rows, made.ids) for view, key, made in tiles)
        )


def open_store(uri: str, pipeline: str, *, read_only: bool = False) -> SqliteStore:
    """The online store of a pipeline at a URI such as `sqlite:////var/lib/sluice/online`."""
    scheme, _, place = uri.partition("://")
    if scheme != "sqlite":
        raise Outage(f"no online store speaks {scheme!r}", where="SLUICE_ONLINE", allowed=["sqlite:///<folder>"])
    folder = Path(place[1:] if place.startswith("//") else place)
    return SqliteStore(folder / f"{pipeline}.db", read_only=read_only)
