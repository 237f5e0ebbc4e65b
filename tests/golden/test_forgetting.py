"""What is forgotten and what stays, to the microsecond: rows, leaves, and what a lifetime keeps of both."""

from __future__ import annotations

import pytest

from sluice import Label, Pipeline, Windows, count, max_, mean, min_, since_first, sum_
from sluice.declare.durations import HOUR, MINUTE
from sluice.engine.forget import cut_of, forget_expired
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore
from sluice.engine.tiles import read_head
from tests.golden.sales import REQUEST, RETURNED, SALES, sale
from tests.golden.test_labels import RETURNS, told
from tests.sluice.engine.folding import fold_all
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.worlds import START, asked_table

pytestmark = pytest.mark.unit

LIFELONG = [
    count("lifetime"),
    sum_("price", "lifetime"),
    mean("price", "lifetime"),
    min_("price", "lifetime"),
    max_("price", "lifetime"),
    since_first("lifetime"),
]


def stalls(leaf: int, features: list[object]) -> Pipeline:
    stall = Windows("stall", of="stall", over=SALES, leaf=leaf, features=[count("10min"), *features])
    return Pipeline("stalls", views=[stall], label=RETURNED)


HORIZON = 70 * MINUTE
"""Of these views: ten minutes, and the hour that an event may come late."""


def test_a_cut_is_two_horizons_behind_the_watermark() -> None:
    view = stalls(1, []).windows[0]
    assert (view.horizon, cut_of(view, START)) == (HORIZON, START - 2 * HORIZON)


def left(pipeline: Pipeline, events: list[Version], *cuts: int) -> MemoryStore:
    """A store after everything before some cuts was forgotten."""
    store = MemoryStore()
    fold_all(pipeline, store, [events])
    for cut in cuts:
        forget_expired(pipeline, store, cut + 2 * HORIZON)
    return store


def ids(pipeline: Pipeline, store: MemoryStore) -> list[int]:
    head = read_head(pipeline.windows[0], dict(store.scan("stall"))[1])
    return head.rows.matrix[:, 1].tolist()


def test_rows_stay_for_two_horizons_behind_the_watermark() -> None:
    pipeline = stalls(512, [])
    events = [sale(1, START - 1), sale(2, START), sale(3, START + 1), sale(4, START + MINUTE)]
    assert ids(pipeline, left(pipeline, events, START)) == [2, 3, 4]
    assert ids(pipeline, left(pipeline, events, START + 1)) == [3, 4]


def test_a_head_is_written_again_when_a_quarter_of_it_can_go() -> None:
    pipeline = stalls(512, [])
    events = [sale(number, START + number) for number in range(5)]
    assert ids(pipeline, left(pipeline, events, START + 1)) == [0, 1, 2, 3, 4]
    assert ids(pipeline, left(pipeline, events, START + 2)) == [2, 3, 4]


def test_leaves_stay_until_they_have_ended() -> None:
    pipeline = stalls(1, [])
    events = [sale(number, START + minute * MINUTE) for number, minute in enumerate((0, 0.5, 1, 1.5, 7, 8))]
    begins = [
        ((read_head(pipeline.windows[0], head).leaves.starts - START) / MINUTE).tolist()
        for cut in (START + MINUTE - 1, START + MINUTE, START + 2 * MINUTE)
        for _, head in left(pipeline, events, cut).scan("stall")
    ]
    assert begins == [[0, 1, 7, 8], [1, 7, 8], [7, 8]]


LATER = Asked(START + 6 * HOUR, None, REQUEST.values)


def lifelong(pipeline: Pipeline, store: MemoryStore) -> list[float | None]:
    values = answer(pipeline, store, asked_table(pipeline, [LATER])).values
    return [float(column[0]) if valid[0] else None for column, valid in values.values()]


SOLD = [sale(number, START + number * MINUTE, price=100 * (5 - number)) for number in range(5)]


@pytest.mark.parametrize("leaf", [1, 512])
def test_a_lifetime_keeps_what_is_forgotten(leaf: int) -> None:
    pipeline = stalls(leaf, LIFELONG)
    # of 5, 4, 3, 2 and 1 euros, the first six hours ago
    assert lifelong(pipeline, left(pipeline, SOLD, START + 2 * MINUTE)) == [0, 5, 15, 3, 1, 5, 21_600]


@pytest.mark.parametrize("leaf", [1, 512])
def test_a_lifetime_keeps_what_was_forgotten_twice(leaf: int) -> None:
    pipeline = stalls(leaf, LIFELONG)
    store = left(pipeline, SOLD, START + 2 * MINUTE, START + 4 * MINUTE)
    assert lifelong(pipeline, store) == [0, 5, 15, 3, 1, 5, 21_600]
    assert lifelong(pipeline, left(pipeline, SOLD, START + HOUR)) == [0, 5, 15, 3, 1, 5, 21_600]


@pytest.mark.parametrize("leaf", [1, 512])
def test_a_label_that_is_known_later_is_no_part_of_a_base(leaf: int) -> None:
    label = Label("returned", of=SALES, told_by=RETURNS, absent=0, after="5min")
    features = [count("10min"), count("lifetime"), sum_("returned", "lifetime")]
    view = Windows("stall", of="stall", over=label, delay="5min", leaf=leaf, features=features)
    pipeline = Pipeline("stalls", views=[view], label=label)
    known = LATER.time + 1
    store = MemoryStore()
    fold_all(pipeline, store, [[*SOLD, told(1, 1, START + HOUR, 1, known=known), told(2, 2, START + HOUR, 1)]])
    forget_expired(pipeline, store, START + HOUR + 2 * view.horizon)
    assert lifelong(pipeline, store) == [0, 5, 1]
    values = answer(pipeline, store, asked_table(pipeline, [Asked(known, None, REQUEST.values)])).values
    assert [float(column[0]) for column, _ in values.values()] == [0, 5, 2]
