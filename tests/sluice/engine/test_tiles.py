from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.history import keep, rows
from sluice.engine.store import MemoryStore, Wanted
from sluice.engine.tiles import Rows, build, empty_state, matrix_of, rows_in, state_of, stored_tiles, tile, width
from tests.sluice.engine.folding import batches_of, fold_all
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.worlds import several, tables, worlds

pytestmark = pytest.mark.unit
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)

WORD = st.integers(-(2**40), 2**40)
STATES = st.lists(st.lists(WORD, min_size=5, max_size=5), max_size=8).map(
    lambda listed: np.array(listed, np.int64).reshape(-1, 5)
)


@settings(deadline=None)
@given(STATES, STATES, STATES)
def test_states_merge_in_any_order_and_grouping(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> None:
    merged = state_of(np.concatenate([a, b, c]))
    left = state_of(np.concatenate([state_of(np.concatenate([a, b])), state_of(c)]))
    right = state_of(np.concatenate([state_of(c), state_of(np.concatenate([b, a]))]))
    assert merged.tolist() == left.tolist() == right.tolist()


@settings(deadline=None)
@given(STATES)
def test_the_empty_state_changes_nothing(states: np.ndarray) -> None:
    assert state_of(np.concatenate([states, empty_state(5)])).tolist() == state_of(states).tolist()


@pipelines
@several
@given(data=st.data())
def test_backfilled_tiles_are_the_bytes_that_the_fold_writes(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    store = MemoryStore()
    fold_all(pipeline, store, data.draw(batches_of(world.versions)))
    events = tables(pipeline, world.versions)
    for view in pipeline.windows:
        built = stored_tiles(build(view, rows(view, events, kept=keep(pipeline))))
        for key in {key for key, _ in built} | {0, 1, "", "x"}:
            [held] = store.read([Wanted(view.name, key, -(2**62), 2**62)]).tiles
            # a tile whose events are all gone stays behind, empty
            assert [made for name, made in built if name == key] == [made for made in held if made.rows]


@several
@given(data=st.data())
def test_a_tile_is_the_same_whatever_order_its_rows_come_in(data: st.DataObject) -> None:
    pipeline = shop()
    view = pipeline.view("risk")
    found = rows(view, tables(pipeline, data.draw(worlds(pipeline)).versions), kept=keep(pipeline))
    shuffled = found.take(pa.array(data.draw(st.permutations(range(len(found)))), pa.int64()))
    made, other = (tile(0, Rows(matrix_of(view, table), table.column("id").to_pylist())) for table in (found, shuffled))
    assert made == other
    assert sorted(rows_in(view, made).matrix.tolist()) == sorted(matrix_of(view, found).tolist())


def test_no_rows_give_no_tiles() -> None:
    view = shop().view("till")
    assert len(build(view, rows(view, tables(shop(), []), kept=0))) == 0


def test_a_view_has_the_longest_slots_that_fit_its_shortest_window() -> None:
    pipeline = shop()
    assert [view.slot for view in pipeline.windows] == [MINUTE] * 4
    assert (DAY % HOUR, HOUR % (5 * MINUTE), (5 * MINUTE) % MINUTE) == (0, 0, 0)
    assert width(pipeline.view("customer")) == 3 + 2 * len(["amount", "items", "gift"])
