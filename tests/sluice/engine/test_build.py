"""Tiles from rows and rows from tiles: what a backfill leaves, and the next one goes on from."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.build import build, opened
from sluice.engine.history import keep, rows
from tests.sluice.engine.contents import with_leaf
from tests.sluice.engine.pipelines import ALL
from tests.sluice.engine.worlds import JITTER, START, crowded, several, tables, worlds

pytestmark = pytest.mark.unit
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)


def listed(table: pa.Table) -> list[str]:
    return sorted(map(str, table.to_pylist()))


@pipelines
@several
@given(data=st.data())
def test_the_rows_of_tiles_are_those_that_they_were_built_from(pipeline: Pipeline, data: st.DataObject) -> None:
    pipeline = with_leaf(pipeline, data.draw(st.sampled_from([2, 512])))
    view = data.draw(st.sampled_from(pipeline.windows))
    found = rows(view, tables(pipeline, data.draw(worlds(pipeline)).versions), kept=keep(pipeline))
    held = opened(view, build(view, found))
    assert held.rows.schema == found.schema
    assert listed(held.rows) == listed(found.filter(found.column("key").is_valid()))
    assert held.bases == {}


@pipelines
@several
@given(data=st.data())
def test_tiles_of_tiles_that_were_cut_before_are_those_of_all_rows(pipeline: Pipeline, data: st.DataObject) -> None:
    pipeline = with_leaf(pipeline, data.draw(st.sampled_from([2, 512])))
    view = data.draw(st.sampled_from(pipeline.windows))
    found = rows(view, tables(pipeline, data.draw(worlds(pipeline)).versions), kept=keep(pipeline))
    first, then = sorted(START + data.draw(st.integers(-1, 7)) * MINUTE + data.draw(JITTER) for _ in range(2))
    held = opened(view, build(view, found, since=first))
    again = build(view, held.rows, since=then, bases=held.bases)
    assert listed(again) == listed(build(view, found, since=then))


@pytest.mark.parametrize("name", ["stall", "returns"])
def test_a_state_is_kept_when_tiles_are_cut_again(name: str) -> None:
    pipeline = ALL[3]
    view = pipeline.view(name)
    found = rows(view, tables(pipeline, crowded(pipeline, 1, size=90).versions), kept=keep(pipeline))
    held, cuts = opened(view, build(view, found, since=START)), [START + minute * MINUTE for minute in range(1, 12)]
    for cut in cuts:
        again = build(view, held.rows, since=cut, bases=held.bases)
        assert listed(again) == listed(build(view, found, since=cut))
        held = opened(view, again)
    assert len(held.bases) > 0


def test_the_first_and_the_last_row_of_an_entity_are_told_with_each_of_its_tiles() -> None:
    pipeline = with_leaf(ALL[3], 2)
    view = pipeline.view("stall")
    schema = rows(view, tables(pipeline, []), kept=keep(pipeline)).schema
    times = [START, START + MINUTE, START + 2 * MINUTE]
    made = pa.Table.from_pylist(
        [dict.fromkeys(schema.names, 0) | {"key": 7, "time": time, "id": at} for at, time in enumerate(times)], schema
    )
    for since, first in ((None, times[0]), (times[0], times[0]), (times[0] + 1, times[1]), (times[2], times[2])):
        told = build(view, made, since=since).select(["first", "last"]).to_pylist()
        assert set(map(tuple, (row.values() for row in told))) == {(first, times[-1])}
    assert build(view, made, since=times[-1] + 1).drop(["key", "body"]).to_pylist() == [
        {"start": None, "first": None, "last": None}
    ]
