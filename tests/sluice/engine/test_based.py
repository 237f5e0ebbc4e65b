"""Lifetime windows over a state of what was before and the rows since: the bits that all of the rows give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import Integer, Key, Label, Pipeline, Stream, Windows, count, decayed_sum, mean, std
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
    digest,
    payloads,
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


def test_an_entity_of_which_nothing_but_a_state_is_left_is_read_from_it() -> None:
    values = payloads(BAZAAR.events)[0]
    sold = [Version("sales", number, START, values, digest(START, values), known=START) for number in range(5)]
    view = BAZAAR.view("stall")
    everything = rows(view, tables(BAZAAR, sold), kept=keep(BAZAAR))
    held = opened(view, build(view, everything, since=START + MINUTE))
    assert (len(held.rows), list(held.bases)) == (0, [values["stall"]])
    asked = requests_of(view, tables(BAZAAR, [replace(sold[0], id=9, time=START + 60 * MINUTE)])["sales"])
    found = compute(view, held.rows, asked, held.bases)
    names = ("count_1min", "count_lifetime", "since_first_lifetime", "dear")
    assert {name: found[name][0].tolist() for name in names} == {
        "count_1min": [1.0],
        "count_lifetime": [6.0],
        "since_first_lifetime": [3600.0],
        "dear": [0.0],
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
    events = Stream("events", id="event_id", time="at", columns=columns)
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
