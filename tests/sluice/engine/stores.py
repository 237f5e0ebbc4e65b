"""The stores that every contract runs on, and everything that one holds."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sluice.engine.places import open_store
from sluice.engine.redis_facts import unpacked
from sluice.engine.redis_words import Keys, id_of
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import Change, Fact, Knowledge, MemoryStore, Partition, Position, TileStore
from sluice.engine.tiles import Id
from tests.redis_server import RedisServer

Opened = Callable[[], AbstractContextManager[TileStore]]
OpenRedis = Callable[..., Any]
"""Opens one store in Redis, as often as it is asked; `read_only=True` to read it."""
_pipelines = itertools.count()


def every_store(within: pytest.MarkDecorator, server: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Runs a test on each store, empty whenever it is opened; the levels are of those in the process and of others."""
    levels = {"memory": within, "sqlite": within, "redis": server}
    kinds = [pytest.param(kind, marks=level) for kind, level in levels.items()]
    return pytest.mark.parametrize("opened", kinds, indirect=True)


@contextmanager
def memory() -> Iterator[TileStore]:
    yield MemoryStore()


@contextmanager
def sqlite() -> Iterator[TileStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "online.db")
        yield store
        store.close()


def redis(server: RedisServer) -> Opened:
    """Stores of a server, each of a pipeline of its own."""

    @contextmanager
    def opened() -> Iterator[TileStore]:
        store = open_store(server.url, f"p{next(_pipelines)}")
        yield store
        store.close()

    return opened


def step(offset: int, *, partition: Partition = ("payments", 0), mark: bytes = b"") -> Change:
    """One batch of a partition, which writes a mark everywhere."""
    heads, chunks = [("v", key, mark) for key in range(5)], [("v", key, 0, mark) for key in range(5)]
    return Change([], heads, chunks, {partition: offset or None}, {partition: Position(offset + 1, None)})


@dataclass(frozen=True)
class Contents:
    """Everything that a store holds."""

    heads: dict[tuple[str, Id], bytes]
    chunks: dict[tuple[str, Id, int], bytes]
    facts: set[Fact]
    knowledge: Knowledge


def contents(store: TileStore) -> Contents:
    """Everything in a store, past its own interface."""
    known = store.read([]).knowledge
    if isinstance(store, MemoryStore):
        facts = {fact for held in store._facts.values() for fact in held.values()}
        return Contents(dict(store._heads), dict(store._chunks), facts, known)
    if isinstance(store, SqliteStore):
        return _in_file(store, known)
    return _in_redis(store, known)


def _in_file(store: SqliteStore, known: Knowledge) -> Contents:
    read = store._connection.execute
    views = [name for (name,) in read("SELECT name FROM views")]
    heads = {(view, key): head for view in views for key, head in read(f'SELECT * FROM "heads {view}"')}
    chunks = {(view, key, start): body for view, key, start, body in read("SELECT * FROM chunks")}
    return Contents(heads, chunks, {Fact(*row) for row in read("SELECT * FROM facts")}, known)


def _in_redis(store: Any, known: Knowledge) -> Contents:
    keys = store._names.of(store._last[1].generation)

    def held(key: str) -> dict[bytes, bytes]:
        with store._link.session() as session:
            found: list[Any] = session.ask_one(("HGETALL", key))
        return dict(zip(found[::2], found[1::2], strict=True))

    views = _views(store, keys)
    heads = {(view, id_of(field)): head for view in views for field, head in held(keys.heads(view)).items()}
    chunks = {
        (view, id_of(field.partition(b":")[2]), int(field.partition(b":")[0])): body
        for view in views
        for field, body in held(keys.chunks(view)).items()
    }
    facts = {fact for field, body in held(keys.facts).items() for fact in unpacked(id_of(field), body)}
    return Contents(heads, chunks, facts, known)


def _views(store: Any, keys: Keys) -> list[str]:
    with store._link.session() as session:
        return [view.decode() for view in session.ask_one(("SMEMBERS", keys.views))]
