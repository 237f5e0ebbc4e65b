"""Lifetime windows over a state of what was before and the rows since: the bits that all of the rows give."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import (
    Integer,
    Key,
    Label,
    Pipeline,
    Stream,
    Windows,
    count,
    decayed_sum,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    since_first,
    since_last,
    std,
)
from sluice.declare.durations import MINUTE
from sluice.engine.batch import Column, compute
from sluice.engine.build import build, opened
from sluice.engine.encode import integers
from sluice.engine.history import keep, rows
from sluice.engine.vectors import requests_of
from sluice.errors import DataError
from tests.sluice.engine.contents import with_leaf
from tests.sluice.engine.oracle import Version
from tests.sluice.engine.pipelines import bazaar
from tests.sluice.engine.worlds import (
    JITTER,
    START,
    World,
    asked_table,
    crowded,
    several,
    tables,
    worlds,
)

pytestmark = pytest.mark.unit

BAZAAR = bazaar()
LIFELONG = ("stall", "returns")


def assert_as_from_all(view: Windows, world: World, cut: int, pipeline: Pipeline = BAZAAR) -> int:
    """Requests that come after a cut, from the tiles that were built by then: how many of them had a base."""
    everything = rows(view, tables(pipeline, world.versions), kept=keep(pipeline))
    asked = requests_of(view, asked_table(pipeline, world.requests))
    asked = asked.filter(pa.array(integers(asked.column("time"))[0] - view.reach >= cut))
    held = opened(view, build(view, everything, since=cut))
    assert bits(compute(view, held.rows, asked, held.bases)) == bits(compute(view, everything, asked))
    return sum(key in held.bases for key in asked.column("key").to_pylist())


def bits(columns: dict[str, Column]) -> dict[str, tuple[bytes, bytes]]:
    return {
        name: (np.where(valid, value, value.dtype.type(0)).tobytes(), valid.tobytes())
        for name, (value, valid) in columns.items()
    }


@several
@given(data=st.data())
def test_what_went_before_a_cut_counts_as_if_its_rows_were_there(data: st.DataObject) -> None:
    world, pipeline = data.draw(worlds(BAZAAR)), with_leaf(BAZAAR, data.draw(st.sampled_from([2, 512])))
    cut = START + data.draw(st.integers(-1, 5)) * MINUTE + data.draw(JITTER)
    asked = [replace(one, time=one.time + data.draw(st.sampled_from([0, 5 * MINUTE]))) for one in world.requests]
    for name in LIFELONG:
        assert_as_from_all(pipeline.view(name), World(world.versions, asked), cut, pipeline)


@pytest.mark.parametrize("seed", range(3))
def test_so_it_does_for_a_busy_entity_and_at_every_cut(seed: int) -> None:
    world = crowded(BAZAAR, seed, size=120)
    based = [
        assert_as_from_all(BAZAAR.view(name), world, START + minute * MINUTE)
        for minute in range(-1, 13)
        for name in LIFELONG
    ]
    assert sum(based) > 40


SIZES = (3, 9, 1, 5, 7)
"""Of five events a minute apart."""
EVENTS = Stream("events", id="event_id", time="at", columns={"key": Key(), "size": Integer(min=0, max=99)})
EVER = Windows(
    "ever",
    of="key",
    over=EVENTS,
    include_request=True,
    features=[
        count("lifetime"),
        min_("size", "lifetime"),
        max_("size", "lifetime"),
        first("size", "lifetime"),
        last("size", "lifetime"),
        since_first("lifetime"),
        since_last("lifetime"),
        distinct("size", "lifetime", exact=9),
        std("size", "lifetime"),
    ],
)
LIFE = Pipeline("life", views=[EVER], label=Label("seen", of=EVENTS, column="seen", known_after="1h"))


@pytest.mark.parametrize("cut", range(6))
def test_what_is_known_as_a_state_comes_before_the_rows(cut: int) -> None:
    """All, some or none of the five are known as no more than a state; the request's own size is 4."""
    made = [Version("events", i, START + i * MINUTE, {"key": 1, "size": size}, i) for i, size in enumerate(SIZES)]
    everything = rows(EVER, tables(LIFE, made), kept=keep(LIFE))
    held = opened(EVER, build(EVER, everything, since=START + cut * MINUTE))
    assert (len(held.rows), len(held.bases)) == (5 - cut, int(cut > 0))

    asked = [Version("events", 9, START + 60 * MINUTE, {"key": 1, "size": 4}, 0)]
    found = compute(EVER, held.rows, requests_of(EVER, tables(LIFE, asked)["events"]), held.bases)

    assert {name.removesuffix("_lifetime"): column.tolist() for name, (column, _) in found.items()} == {
        "count": [6],
        "min_size": [1],
        "max_size": [9],
        "first_size": [3],
        "last_size": [7],
        "since_first": [3_600],
        "since_last": [56 * 60],
        "distinct_size": [6],
        "std_size": [pytest.approx(math.sqrt(245 / 36), abs=0)],
    }


LARGEST = 2**53 - 1


@pytest.mark.parametrize(
    ("feature", "largest", "most"),
    [
        (mean("size", "lifetime"), LARGEST, 1_024),
        (std("size", "lifetime"), 2**42, 2_047),
        (decayed_sum("size", half_life="1h"), 2**36 - 1, 1_024),
    ],
    ids=["mean", "std", "decayed_sum"],
)
def test_one_value_more_than_fits_is_refused_by_name_wherever_it_is_counted(
    feature: object, largest: int, most: int
) -> None:
    columns = {"key": Key(), "size": Integer(min=-largest, max=largest)}
    events = replace(EVENTS, columns=columns)
    view = Windows("sizes", of="key", over=events, features=[count("lifetime"), feature])
    pipeline = Pipeline("sizes", views=[view], label=Label("seen", of=events, column="seen", known_after="1h"))
    made = [Version("events", i, START + i, {"key": 1, "size": largest}, i) for i in range(most + 1)]
    at = START + 2 * 60 * MINUTE

    def found(number: int) -> dict[str, Column]:
        everything = rows(view, tables(pipeline, made[:number]), kept=keep(pipeline))
        held = opened(view, build(view, everything, since=START + most // 2))
        asked = Version("events", most + 9, at, {"key": 1, "size": 0}, 0)
        return compute(view, held.rows, requests_of(view, tables(pipeline, [asked])["events"]), held.bases)

    assert found(most)[view.functions[1].name][1].all()
    with pytest.raises(DataError, match=view.functions[1].name):
        found(most + 1)
