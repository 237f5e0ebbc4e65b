"""Each rule of what a window holds, to the microsecond and on every path: computed at once, cold and hot entities."""

from __future__ import annotations

from typing import Any

import pytest

from sluice import (
    Key,
    Label,
    Pipeline,
    Stream,
    Windows,
    col,
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    percentile,
    share,
    since_first,
    since_last,
    std,
    sum_,
    top,
    top_share,
)
from sluice.declare.durations import HOUR, MINUTE
from tests.golden.sales import REQUEST, T, found, on_every_path, sale
from tests.sluice.engine.oracle import Asked, Version

pytestmark = pytest.mark.unit

LONG_AGO = [sale(900 + number, T - 3 * HOUR + number * MINUTE) for number in range(3)]
"""What makes an entity hot where one sale is stored by itself."""
COUNT = [count("10min")]


def counted(*times: int, request: Asked = REQUEST, **view: Any) -> float | int | None:
    sales = [sale(number, time) for number, time in enumerate(times)]
    return found(COUNT, [*LONG_AGO, *sales], request, **view)["count_10min"]


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(10 * MINUTE + 1, 0), (10 * MINUTE, 0), (10 * MINUTE - 1, 1), (1, 1), (0, 1), (-1, 0)],
)
def test_a_window_is_open_at_its_far_edge_and_closed_at_the_request(ago: int, expected: int) -> None:
    assert counted(T - ago) == expected
    assert counted(T - ago, T - ago) == 2 * expected


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(15 * MINUTE, 0), (15 * MINUTE - 1, 1), (5 * MINUTE + 1, 1), (5 * MINUTE, 1), (5 * MINUTE - 1, 0), (0, 0)],
)
def test_a_delay_moves_both_edges(ago: int, expected: int) -> None:
    assert counted(T - ago, delay="5min") == expected


def test_a_leaf_that_begins_at_the_far_edge_is_cut() -> None:
    assert counted(T - 10 * MINUTE, T - 10 * MINUTE + 1) == 1


def test_a_leaf_with_the_near_edge_in_it_is_cut() -> None:
    sales = [*LONG_AGO, sale(1, T - 5 * MINUTE), sale(2, T - 5 * MINUTE + 1)]
    assert found([count("lifetime")], sales, delay="5min") == {"count_lifetime": 4}


@pytest.mark.parametrize(
    ("after", "expected"),
    [(-10 * MINUTE - 1, 0), (-10 * MINUTE, 1), (-1, 1), (0, 0), (MINUTE, 0)],
)
@pytest.mark.parametrize("asked", [T, T + 1, T + 5 * MINUTE - 1])
def test_slots_are_the_last_whole_ones_that_have_ended(asked: int, after: int, expected: int) -> None:
    assert counted(T + after, request=Asked(asked, 100, REQUEST.values), edge="slot", slot="5min") == expected


@pytest.mark.parametrize(
    ("ago", "expected"), [(20 * MINUTE + 1, 0), (20 * MINUTE, 1), (10 * MINUTE + 1, 1), (10 * MINUTE, 0)]
)
def test_the_last_slot_is_the_one_that_has_ended_before_the_delay(ago: int, expected: int) -> None:
    assert counted(T - ago, delay="7min", edge="slot", slot="5min") == expected


def test_at_one_moment_the_smaller_id_comes_first() -> None:
    tied = [sale(id_, T, price=id_) for id_ in (99, 100, 101, -5)]
    features = [count("1min"), sum_("price", "1min"), last("price", "1min")]
    assert list(found(features, [*LONG_AGO, *tied]).values()) == [2, 0.94, 0.99]


def test_in_the_last_microsecond_of_a_slot_ids_decide_too() -> None:
    sales = [*LONG_AGO, sale(99, T - 1), sale(101, T - 1)]
    for id_, expected in ((99, 0), (100, 1), (102, 2), (None, 2)):
        assert found(COUNT, sales, Asked(T - 1, id_, REQUEST.values)) == {"count_10min": expected}


@pytest.mark.parametrize("arrival", [1, -1], ids=["in order", "in the other order"])
@pytest.mark.parametrize(
    "view", [{}, {"delay": "5min"}, {"edge": "slot", "slot": "5min"}], ids=["plain", "delayed", "slots"]
)
def test_of_events_of_one_moment_the_least_id_is_first_and_the_greatest_last(
    view: dict[str, Any], arrival: int
) -> None:
    tied = [sale(id_, T - 6 * MINUTE, price=price) for id_, price in ((-5, 100), (1, 200), (2, 300))]
    features = [first("price", "10min"), last("price", "10min"), since_last("10min")]
    assert list(found(features, tied[::arrival], **view).values()) == [1, 3, 360]


def test_a_request_without_id_comes_after_every_other() -> None:
    assert counted(T, T, T + 1, request=Asked(T, None, REQUEST.values)) == 2


def test_a_request_that_is_included_may_be_the_greatest_of_all() -> None:
    features = [
        min_("price", "10min"),
        max_("price", "10min"),
        max_("pieces", "10min", where=col("paid") == 1, name="m"),
    ]
    sales = [*LONG_AGO, sale(1, T - 2, price=300), sale(2, T - 1, price=400)]
    assert list(found(features, sales, include_request=True).values()) == [3, 5, 4]


VISITS = Stream("visits", id="visit_id", id_type="text", time="at", columns={"stall": Key()})
SEEN = Label("seen", of=VISITS, column="seen", known_after="1d")


def visited(request: str | None, *ids: str) -> float | int | None:
    """How many visits of a moment come before another one of it."""
    visits = [Version("visits", one, T, {"stall": 1}, hash=1, known=T) for one in ids]
    views = [Windows("stall", of="stall", over=VISITS, leaf=leaf, features=[count("1min")]) for leaf in (1, 512)]
    pipelines = [Pipeline("visits", views=[view], label=SEEN) for view in views]
    return on_every_path(pipelines, visits, Asked(T, request, {"stall": 1}))["count_1min"]


@pytest.mark.parametrize(
    ("request_id", "expected"),
    [
        ("", 0),
        ("a visit", 1),
        ("a visit of b", 2),
        ("a visit of c", 3),
        ("b", 4),
        ("é", 4),
        ("\U00010000", 6),
        (None, 7),
    ],
)
def test_texts_come_in_the_order_of_their_bytes_also_where_they_begin_alike(
    request_id: str | None, expected: int
) -> None:
    ids = ["", "a visit of a", "a visit of b", "a visit of c", "é", "\uffff", "\U00010000"]
    assert visited(request_id, *ids) == expected


def test_a_sale_of_nobody_counts_for_nobody_and_a_request_of_nobody_reads_nothing() -> None:
    nobodys = [sale(1, T - 1, stall=None), sale(2, T - 1), sale(3, T - 1, stall=2)]
    assert counted(T - 1) == 1
    assert found(COUNT, [*LONG_AGO, *nobodys])["count_10min"] == 1
    request = Asked(T, 100, REQUEST.values | {"stall": None})
    included = [count("10min"), sum_("price", "10min"), max_("price", "10min")]
    assert list(found(included, nobodys, request, include_request=True).values()) == [0, None, None]


EVERY = [
    sum_("price", "10min"),
    mean("price", "10min"),
    share("paid", "10min"),
    min_("price", "10min"),
    max_("price", "10min"),
    std("price", "10min"),
    percentile("price", 0.5, "10min"),
    first("price"),
    last("price"),
    decayed_sum("price", half_life="1min"),
    decayed_mean("price", half_life="1min"),
]
NEVER_FILLED = [top("kind", "10min"), top_share("kind", "10min"), since_last(), since_first()]
COUNTS = [count("10min"), distinct("buyer", "10min"), decayed_count(half_life="1min")]
NOTHING = [
    [],
    LONG_AGO,
    [*LONG_AGO, sale(1, T - 10 * MINUTE), sale(2, T + 1)],
    [sale(number, T - 10 * MINUTE - number) for number in range(4)],
]


@pytest.mark.parametrize("events", NOTHING, ids=["no sale", "long ago", "at both edges", "just before"])
def test_an_empty_window_is_zero_for_counts_and_null_for_the_rest(events: list[Version]) -> None:
    assert set(found([*EVERY, *NEVER_FILLED], events).values()) == {None}
    assert list(found(COUNTS, events).values()) == [0, 0, 0]


def test_a_filling_stands_for_an_empty_window_and_for_nothing_else() -> None:
    filled = [tuple(one.__class__(**{**vars(one), "fill": -7.5}) for one in group) for group in EVERY]
    assert set(found(filled, LONG_AGO).values()) == {-7.5}
    assert set(found(filled, [sale(1, T - 1, price=0, paid=0)]).values()) == {0}


def test_a_window_of_nulls_is_an_empty_one_but_for_counts() -> None:
    nulls = [sale(1, T - 2, price=None, kind=None, paid=None), sale(2, T - 1, price=None, kind=None, paid=None)]
    values = found([*EVERY, *NEVER_FILLED, *COUNTS], [*LONG_AGO, *nulls])
    assert {name for name, value in values.items() if value is not None} == {
        "since_last",
        "since_first",
        "count_10min",
        "distinct_buyer_10min",
        "decayed_count_1min",
    }


DEAR, PAID = col("price") > 5, col("paid") == 1
LOGIC = {
    "dear": (DEAR, 3),
    "not_dear": (~DEAR, 3),
    "both": (DEAR & PAID, 1),
    # one of the two is false: dear is (3), paid is (3), and one sale is counted twice
    "not_both": (~(DEAR & PAID), 5),
    "either": (DEAR | PAID, 5),
    "neither": (~(DEAR | PAID), 1),
    "unknown": (col("price").is_null(), 3),
    "known": (~col("price").is_null(), 6),
    "known_or_paid": (~col("price").is_null() | PAID, 7),
    "exactly": (col("price") == 5, 3),
    "at_most": (col("price") <= 5, 3),
    "below": (col("price") < 5, 0),
    "at_least": (col("price") >= 5, 6),
    "other": (col("price") != 5, 3),
    "one_of": (col("kind").isin(["fruit", "spice"]), 6),
    "none_of": (~col("kind").isin(["fruit", "spice"]), 0),
}


@pytest.mark.parametrize("name", LOGIC)
def test_a_filter_knows_true_false_and_unknown(name: str) -> None:
    """Nine sales: of 7.00, of 5.00 and of nobody knows what, each paid, not paid, and nobody knows."""
    kinds = {1: 0, 0: 2, None: None}
    nine = [(price, paid) for price in (700, 500, None) for paid in (1, 0, None)]
    sales = [sale(n, T - n, price=price, paid=paid, kind=kinds[paid]) for n, (price, paid) in enumerate(nine, 1)]
    condition, expected = LOGIC[name]
    assert found([count("10min", where=condition, name=name)], [*LONG_AGO, *sales]) == {name: expected}
