"""The stores that every contract runs on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import MemoryStore, TileStore

Opened = Callable[[], AbstractContextManager[TileStore]]


@contextmanager
def memory() -> Iterator[TileStore]:
    yield MemoryStore()


@contextmanager
def sqlite() -> Iterator[TileStore]:
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "online.db")
        yield store
        store.close()


every_store = pytest.mark.parametrize("opened", [memory, sqlite])
