"""A fold that stops at any step of the store leaves nothing of its batch, which can come again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.sqlite import SqliteStore
from tests.sluice.engine.contents import contents
from tests.sluice.engine.folding import PARTITION, answered, fold_all
from tests.sluice.engine.oracle import Version
from tests.sluice.engine.pipelines import bazaar, shop
from tests.sluice.engine.stores import sqlite
from tests.sluice.engine.worlds import several, worlds

pytestmark = pytest.mark.unit


@contextmanager
def stopped_at(store: SqliteStore, step: int) -> Iterator[list[int]]:
    """The store stopped at a step of SQLite's own, as by a full disk; what has been counted until then."""
    counted = [0]

    def steps() -> bool:
        counted[0] += 1
        return counted[0] == step

    store._connection.set_progress_handler(steps, 1)
    try:
        yield counted
    finally:
        store._connection.set_progress_handler(None, 0)


def steps_of(pipeline: Pipeline, before: list[Version], batch: list[Version]) -> int:
    """How many steps it takes to fold a batch after another one, and after a look at what is stored."""
    with sqlite() as store:
        fold_all(pipeline, store, [before])
        contents(pipeline, store, [*before, *batch])  # a statement that has run once takes fewer steps
        with stopped_at(store, 0) as counted:
            fold_all(pipeline, store, [batch], start=1)
    return counted[0]


@pytest.mark.parametrize("pipeline", [shop(), bazaar()], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_crash_at_any_step_a_batch_is_there_whole_or_not_at_all(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    cut = data.draw(st.integers(0, len(world.versions)))
    before, batch = world.versions[:cut], world.versions[cut:]
    step = data.draw(st.integers(1, steps_of(pipeline, before, batch)))
    with sqlite() as store, sqlite() as whole:
        fold_all(pipeline, store, [before])
        held = contents(pipeline, store, world.versions)
        with stopped_at(store, step), pytest.raises(sqlite3.OperationalError, match=r"interrupted|schema has changed"):
            fold_all(pipeline, store, [batch], start=1)
        # the very last step of all comes when the batch is there already
        if store.read([]).knowledge.positions[PARTITION].offset == 1:
            assert contents(pipeline, store, world.versions) == held
            fold_all(pipeline, store, [batch], start=1)
        fold_all(pipeline, whole, [before, batch])
        assert contents(pipeline, store, world.versions) == contents(pipeline, whole, world.versions)
        assert answered(pipeline, store, world.requests) == answered(pipeline, whole, world.requests)


def test_a_commit_that_fails_leaves_a_store_that_goes_on(tmp_path: Path) -> None:
    store, told = SqliteStore(tmp_path / "online.db"), []

    def statement(text: str) -> None:
        told.append(text)
        if text == "COMMIT":
            store._connection.interrupt()

    store._connection.set_trace_callback(statement)
    with pytest.raises(sqlite3.OperationalError, match="interrupted"):
        fold_all(shop(), store, [[]])
    assert told[-2:] == ["COMMIT", "ROLLBACK"]
    store._connection.set_trace_callback(None)
    assert store.read([]).knowledge.positions == {}
    fold_all(shop(), store, [[]])
    assert store.read([]).knowledge.positions[PARTITION].offset == 1
    store.close()
