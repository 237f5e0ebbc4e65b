"""The embedded online store: one SQLite file in WAL mode, one writer, any number of readers in other processes."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson

from sluice.engine.store import (
    Call,
    Change,
    ChunkGone,
    Fact,
    Knowledge,
    Name,
    NotThere,
    Position,
    Reading,
    nothing,
)
from sluice.engine.tiles import Id
from sluice.errors import Outage

# a table of heads for each view, because a lookup by one whole-number key is twice as fast as by view and key
_SCHEMA = """
CREATE TABLE IF NOT EXISTS knowledge (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS views (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS chunks (
    view TEXT, key, start INTEGER, body BLOB NOT NULL, PRIMARY KEY (view, key, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    anchor, stream TEXT, id, revision INTEGER, hash INTEGER, op INTEGER, time INTEGER NOT NULL,
    known INTEGER NOT NULL, watermark INTEGER, body BLOB NOT NULL,
    PRIMARY KEY (anchor, stream, id, revision, hash, op)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS facts_elsewhere ON facts (stream, id) WHERE anchor IS NOT id;
"""
_CHUNK = "SELECT body FROM chunks WHERE view = ? AND key = ? AND start = ?"
_FACTS = "SELECT * FROM facts WHERE anchor IN (SELECT value FROM json_each(?))"
_ANCHORED = "SELECT * FROM facts WHERE anchor = ?"
_OWN = "SELECT * FROM facts WHERE anchor = ? AND stream = ? AND id = ?"
_ELSEWHERE = "SELECT * FROM facts WHERE stream = ? AND id = ? AND anchor IS NOT id"
_PUT_FACT = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_DROP_FACT = "DELETE FROM facts WHERE anchor = ? AND stream = ? AND id = ? AND revision = ? AND hash = ? AND op = ?"
_FORMAT = 3
_FEW = 8
"""Up to so many heads are asked for one by one."""
_PAGE = 8192
_CHECKPOINT_PAGES = 8192
"""How long the log grows before its pages go to their places: longer, so that pages written often go there once."""
_CACHE_KB = 32_768


class SqliteStore:
    """A tile store in one file; a transaction writes tiles, facts and positions together or not at all."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        if read_only and not path.exists():
            raise NotThere.at(str(path))
        self._path = str(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        self._check_format(path)
        if read_only:
            self._connection.execute("PRAGMA query_only = 1")
        else:
            self._connection.execute(f"PRAGMA page_size = {_PAGE}")
            # WAL with NORMAL loses no committed batch when a process dies; a power cut may, and Kafka replays it
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")
            self._connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            self._connection.executescript(_SCHEMA)
            self._connection.execute(f"PRAGMA user_version = {_FORMAT}")
        self._views: set[str] = set()
        self._known = (b"", Knowledge(-1, {}))

    def load(self, base: int, tiles: Iterable[tuple[str, Id, int | None, bytes]], facts: Iterable[Fact]) -> None:
        """Replace everything by a base version; a tile without start is a head, and positions start empty."""
        with self._transaction("IMMEDIATE") as connection:
            for (view,) in connection.execute("SELECT name FROM views").fetchall():
                connection.execute(f"DELETE FROM {_heads(view)}")  # noqa: S608 a declared name
            connection.execute("DELETE FROM chunks")
            connection.execute("DELETE FROM facts")
            for view, key, start, body in tiles:
                if start is None:
                    self._put_head(view, key, body)
                else:
                    connection.execute("INSERT INTO chunks VALUES (?, ?, ?, ?)", (view, key, start, body))
            connection.executemany(_PUT_FACT, map(_bound, facts))
            self._write_knowledge(Knowledge(base, {}))

    def read(self, names: Sequence[tuple[str, Id | None]], call: Call | None = None) -> Reading:
        """The heads of some entities (nobody's is None), the chunks they call for, and what they know."""
        call = call or nothing
        if len(names) <= _FEW and all(view in self._views for view, _ in names):
            glance = self._glance(names)
            if not call(glance.heads):
                return glance
        with self._transaction("DEFERRED") as connection:
            heads = self._many(names) if len(names) > _FEW else [self._head(view, key) for view, key in names]
            chunks = {}
            for name in call(heads):
                found = connection.execute(_CHUNK, name).fetchone()
                if found is None:
                    raise ChunkGone.at(name)
                chunks[name] = found[0]
            return Reading(heads, chunks, self._knowledge())

    def scan(self, view: str) -> Iterator[tuple[Id, bytes]]:
        """Every head of a view."""
        if self._has(view):
            yield from self._connection.execute(f"SELECT key, head FROM {_heads(view)}")  # noqa: S608 a declared name

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        if not anchors:
            return []
        listed, others = _as_json(list(dict.fromkeys(anchors)))
        found = [Fact(*row) for row in self._connection.execute(_FACTS, (listed,))]
        for anchor in others:
            found += [Fact(*row) for row in self._connection.execute(_ANCHORED, (anchor,))]
        return found

    def versions(self, names: Sequence[Name]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        found: list[Fact] = []
        for stream, identity in dict.fromkeys(names):
            found += [Fact(*row) for row in self._connection.execute(_OWN, (identity, stream, identity))]
            found += [Fact(*row) for row in self._connection.execute(_ELSEWHERE, (stream, identity))]
        return found

    def apply(self, change: Change, *, forget: int | None = None) -> None:
        """Write a change and drop the facts before a time, or raise LostPartition and write nothing."""
        with self._transaction("IMMEDIATE") as connection:
            known = self._knowledge()
            known.demand(change.expected)
            connection.executemany(_PUT_FACT, map(_bound, change.facts))
            self._put_heads(change.heads)
            for view, key, start, body in change.chunks:
                self._put_chunk(view, key, start, body)
            if change.positions:
                self._write_knowledge(Knowledge(known.base, {**known.positions, **change.positions}))
            if forget is not None:
                connection.execute("DELETE FROM facts WHERE time < ?", (forget,))
            connection.executemany(_DROP_FACT, [fact[:6] for fact in change.gone])

    def purge(self) -> None:
        """Leave no byte of what was removed in the file, nor in its log; Outage while readers hold on to it."""
        try:
            self._connection.execute("VACUUM")
            (busy, _, _) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.OperationalError as error:
            busy, why = 1, str(error)
        else:
            why = "its log is being read"
        if busy:
            raise Outage(
                f"what was removed may still be in the file: {why}", where=self._path, next_step="run it again"
            )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _check_format(self, path: Path) -> None:
        (found,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables and found != _FORMAT:
            raise Outage(
                f"the online store has format {found}, and this version reads {_FORMAT}",
                where=str(path),
                next_step="remove the file, and run the flow `features`: it is made again from history",
            )

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[sqlite3.Connection]:
        try:
            self._connection.execute(f"BEGIN {kind}")
            yield self._connection
            # a full disk is told here at the latest, and the connection has to be of use after it
            self._connection.execute("COMMIT")
        except BaseException:
            self._views.clear()
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _has(self, view: str) -> bool:
        if view not in self._views:
            self._views = {name for (name,) in self._connection.execute("SELECT name FROM views")}
        return view in self._views

    def _glance(self, names: Sequence[tuple[str, Id | None]]) -> Reading:
        """A few heads and the knowledge in one statement, which is atomic without the cost of a transaction."""
        *heads, known = self._connection.execute(
            _glance(tuple([view for view, _ in names])), [key for _, key in names]
        ).fetchone()
        return Reading(heads, {}, self._parsed(known or b""))

    def _head(self, view: str, key: Id | None) -> bytes | None:
        if key is None or not (view in self._views or self._has(view)):
            return None
        found = self._connection.execute(f"SELECT head FROM {_heads(view)} WHERE key = ?", (key,)).fetchone()  # noqa: S608
        return found[0] if found else None

    def _many(self, names: Sequence[tuple[str, Id | None]]) -> list[bytes | None]:
        """The heads of many entities, with one question for each view."""
        keys: dict[str, list[Id]] = {}
        for view, key in names:
            if key is not None:
                keys.setdefault(view, []).append(key)
        found: dict[str, dict[Id, bytes]] = {}
        for view, listed in keys.items():
            if self._has(view):
                wanted, others = _as_json(listed)
                held = f"SELECT key, head FROM {_heads(view)} WHERE key IN (SELECT value FROM json_each(?))"  # noqa: S608
                found[view] = dict(self._connection.execute(held, (wanted,)))
                found[view].update((key, head) for key in others if (head := self._head(view, key)) is not None)
        return [None if key is None else found.get(view, {}).get(key) for view, key in names]

    def _put_heads(self, heads: Sequence[tuple[str, Id, bytes | None]]) -> None:
        for view, key in {view: key for view, key, _ in heads}.items():
            self._make_table(view, key)
            table = _heads(view)
            # one by one, as thousands of pairs that live on make the garbage collector look through the whole process
            put = ((key, bytearray(head)) for name, key, head in heads if name == view and head is not None)
            self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", put)  # noqa: S608
            gone = ((key,) for name, key, head in heads if name == view and head is None)
            self._connection.executemany(f"DELETE FROM {table} WHERE key = ?", gone)  # noqa: S608

    def _put_head(self, view: str, key: Id, head: bytes) -> None:
        self._make_table(view, key)
        self._connection.execute(f"INSERT INTO {_heads(view)} VALUES (?, ?)", (key, head))  # noqa: S608

    def _put_chunk(self, view: str, key: Id, start: int, body: bytes | None) -> None:
        if body is None:
            self._connection.execute("DELETE FROM chunks WHERE view = ? AND key = ? AND start = ?", (view, key, start))
        else:
            self._connection.execute("INSERT OR REPLACE INTO chunks VALUES (?, ?, ?, ?)", (view, key, start, body))

    def _make_table(self, view: str, key: Id) -> None:
        if not self._has(view):
            kind = "INTEGER PRIMARY KEY" if isinstance(key, int) else "TEXT PRIMARY KEY"
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {_heads(view)} (key {kind}, head BLOB NOT NULL)")
            self._connection.execute("INSERT OR IGNORE INTO views VALUES (?)", (view,))
            self._views.add(view)

    def _knowledge(self) -> Knowledge:
        found = self._connection.execute("SELECT body FROM knowledge").fetchone()
        return self._parsed(found[0] if found else b"")

    def _parsed(self, body: bytes) -> Knowledge:
        if body != self._known[0]:
            base, positions = orjson.loads(body)
            known = Knowledge(base, {(topic, part): Position(*at) for topic, part, *at in positions})
            self._known = body, known
        return self._known[1] if body else Knowledge(-1, {})

    def _write_knowledge(self, known: Knowledge) -> None:
        positions = [[topic, part, *at] for (topic, part), at in known.positions.items()]
        body = orjson.dumps([known.base, positions])
        self._connection.execute("INSERT OR REPLACE INTO knowledge VALUES (1, ?)", (body,))


def _bound(fact: Fact) -> tuple[object, ...]:
    """A fact as parameters: a plain tuple and a bytearray are taken as they are, for bytes an adapter is looked for."""
    return (*fact[:-1], bytearray(fact.values))


def _as_json(ids: Sequence[Id]) -> tuple[bytes, Sequence[Id]]:
    """Ids as a JSON list, but for those that SQLite would read otherwise there: a text ends at its first NUL."""
    listed = orjson.dumps(ids)
    if b"\\u0000" not in listed:
        return listed, ()
    others = {identity for identity in ids if isinstance(identity, str) and "\0" in identity}
    return orjson.dumps([identity for identity in ids if identity not in others]), list(others)


@functools.cache
def _glance(views: tuple[str, ...]) -> str:
    """The question for one head of each view, and for the knowledge."""
    heads = [f"(SELECT head FROM {_heads(view)} WHERE key = ?)" for view in views]  # noqa: S608 declared names
    return f"SELECT {', '.join([*heads, '(SELECT body FROM knowledge)'])}"  # noqa: S608


def _heads(view: str) -> str:
    return f'"heads {view}"'
