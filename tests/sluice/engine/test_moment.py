from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import (
    Category,
    Decimal,
    Integer,
    Key,
    Label,
    Pipeline,
    Request,
    Stream,
    Windows,
    count,
    cross,
    difference,
    hour,
    is_weekend,
    mean,
    minutes_since_midnight,
    month,
    ratio,
    season,
    sum_,
    value,
    weekday,
    zscore,
)
from sluice.clock import from_datetime
from sluice.declare.durations import MINUTE
from sluice.engine.vectors import vectors
from tests.sluice.engine.oracle import Asked, Version, mixed
from tests.sluice.engine.pipelines import shop
from tests.sluice.engine.worlds import asked_table, tables

pytestmark = pytest.mark.unit

SHOP = shop()
BLANK = dict.fromkeys(SHOP.events.columns) | {"items": 1}


def moment(when: str, **columns: Any) -> dict[str, Any]:
    """The request's own features at a moment (UTC), without their view's name."""
    time = from_datetime(dt.datetime.fromisoformat(when))
    found = vectors(SHOP, tables(SHOP, []), asked_table(SHOP, [Asked(time, 1, BLANK | columns)])).to_pylist()[0]
    return {name.removeprefix("moment__"): value for name, value in found.items() if name.startswith("moment__")}


@pytest.mark.parametrize(
    ("when", "hour", "weekday", "is_weekend", "is_night"),
    [
        ("2024-02-02T23:59:59.999999+00:00", 23, 4, 0, 1),
        ("2024-02-03T00:00:00+00:00", 0, 5, 1, 1),
        ("2024-02-04T04:59:59+00:00", 4, 6, 1, 1),
        ("2024-02-05T05:00:00+00:00", 5, 0, 0, 0),
        ("2024-02-05T01:00:00+02:00", 23, 6, 1, 1),
        ("1969-12-31T21:00:00+00:00", 21, 2, 0, 0),
    ],
)
def test_the_calendar_is_utc_and_a_night_may_pass_midnight(
    when: str, hour: int, weekday: int, is_weekend: int, is_night: int
) -> None:
    found = moment(when)
    assert (found["hour"], found["weekday"], found["is_weekend"], found["is_night"]) == (
        hour,
        weekday,
        is_weekend,
        is_night,
    )


def test_a_column_is_a_number_in_its_own_unit_or_a_categorys_code() -> None:
    found = moment("2024-02-03", amount=-1050, channel=1, country=2**63 - 1)
    assert (found["amount"], found["channel"], found["country"]) == (-10.5, 1, 2**63 - 1)


def test_a_cross_of_categories_is_null_when_one_is_and_depends_on_their_order() -> None:
    assert moment("2024-02-03", channel=1)["channel_x_country"] is None
    here, there = (moment("2024-02-03", channel=a, country=b)["channel_x_country"] for a, b in ((0, 1), (1, 0)))
    assert (here, there) == (-4046142287373546741, -6765806557106828928)


def test_a_ratio_to_ones_own_mean_is_null_without_a_value() -> None:
    assert moment("2024-02-03", amount=300, customer=1)["amount_per_customer_mean_amount_3min"] == 1.0
    # the mean of an empty window is filled with -1 there
    assert moment("2024-02-03", amount=300)["amount_per_customer_mean_amount_3min"] == -3.0
    assert moment("2024-02-03", amount=None)["amount_per_customer_mean_amount_3min"] is None
    assert moment("2024-02-03")["pace"] is None


def tickets() -> Pipeline:
    """Every arithmetic and calendar feature of a request, over sums that can be read off."""
    sales = Stream(
        "sales",
        id="sale_id",
        time="sold_at",
        columns={"seat": Key(), "price": Decimal(nullable=True), "bags": Integer(), "kind": Category("a", "b")},
    )
    paid = Windows(
        "paid",
        of="seat",
        over=sales,
        include_request=True,
        features=[count("1d"), mean("price", "1d"), sum_("bags", "1d")],
    )
    usual, bags = paid["mean_price_1d"], paid["sum_bags_1d"]
    dear = difference("price", usual, name="dear")
    asked = Request(
        "asked",
        month(),
        season(),
        season(hemisphere="south", name="southern"),
        minutes_since_midnight(name="minute"),
        dear,
        ratio(dear, usual, name="dearer"),
        zscore("price", mean=usual, std=bags),
        zscore(hour(), mean="bags", std=value("price", name="other"), name="odd"),
        cross("kind", month(), name="kind_in_month"),
        cross(season(), weekday(), is_weekend(), name="days"),
    )
    return Pipeline("tickets", views=[paid, asked], label=Label("late", of=sales, column="late", known_after="1d"))


TICKETS = tickets()
SALE = {"seat": 7, "price": 1030, "bags": 3, "kind": 1}
NOON = dt.datetime(2024, 2, 3, 12, tzinfo=dt.UTC)
KIND_IN_MONTH, DAYS = -2051160291924501634, -954232165237037599


def asked(when: dt.datetime, past: Sequence[dict[str, Any]] = (), **columns: Any) -> dict[str, Any]:
    """The request's own features of a sale at a moment, with other sales of the minute before it."""
    time = from_datetime(when)
    sold = [Version("sales", -number, time - MINUTE, values, 0) for number, values in enumerate(past, 1)]
    one = Asked(time, 1, SALE | columns)
    found = vectors(TICKETS, tables(TICKETS, sold), asked_table(TICKETS, [one])).to_pylist()[0]
    return {name.removeprefix("asked__"): value for name, value in found.items() if name.startswith("asked__")}


@pytest.mark.parametrize(
    ("when", "month", "season", "southern", "minute"),
    [
        ("2024-02-29T23:59:59.999999+00:00", 2, 0, 2, 1439),
        ("2024-03-01T00:00:00+00:00", 3, 1, 3, 0),
        ("2024-05-31T12:00:59.999999+00:00", 5, 1, 3, 720),
        ("2024-06-01T01:00:00+02:00", 5, 1, 3, 1380),
        ("2024-08-31T00:01:00+00:00", 8, 2, 0, 1),
        ("2024-09-01T00:00:00+00:00", 9, 3, 1, 0),
        ("2024-11-30T00:00:00+00:00", 11, 3, 1, 0),
        ("2024-12-01T00:00:00+00:00", 12, 0, 2, 0),
        ("1969-12-31T23:59:59.999999+00:00", 12, 0, 2, 1439),
    ],
)
def test_seasons_are_three_whole_months_and_minutes_are_whole(
    when: str, month: int, season: int, southern: int, minute: int
) -> None:
    found = asked(dt.datetime.fromisoformat(when))
    assert [found[name] for name in ("month", "season", "southern", "minute")] == [month, season, southern, minute]


@given(st.datetimes(min_value=dt.datetime(1, 1, 1), max_value=dt.datetime(9999, 12, 31)))  # noqa: DTZ001 taken as UTC
def test_the_calendar_of_any_moment_is_that_of_datetime(when: dt.datetime) -> None:
    found = asked(when)
    assert (found["month"], found["minute"]) == (when.month, when.hour * 60 + when.minute)
    assert found["season"] == {12: 0, 1: 0, 2: 0, 3: 1, 4: 1, 5: 1, 6: 2, 7: 2, 8: 2, 9: 3, 10: 3, 11: 3}[when.month]
    assert found["southern"] == (found["season"] + 2) % 4


def test_arithmetic_is_float64_in_the_order_in_which_it_is_written() -> None:
    """Of the prices 0.10 and 0.20 with 2 and 3 bags: where a rounding comes in between, it is the one of float64."""
    found = asked(NOON, past=[{**SALE, "price": 10, "bags": 2}], price=20)
    assert found["dear"] == 0.2 - 0.15 == 0.05000000000000002
    assert found["dearer"] == (0.2 - 0.15) / 0.15 == 0.3333333333333335
    assert found["zscore_price"] == (0.2 - 0.15) / 5.0 == 0.010000000000000004
    assert found["odd"] == (12.0 - 3.0) / 0.2 == 45.0


def test_arithmetic_with_nothing_is_null() -> None:
    names = ("dear", "dearer", "zscore_price", "odd")
    # without a seat nothing is counted, so that mean and sum are null
    assert [asked(NOON, seat=None)[name] for name in names[:3]] == [None] * 3
    assert [asked(NOON, price=None)[name] for name in names] == [None] * 4


def test_a_zscore_without_deviation_is_null() -> None:
    assert asked(NOON, bags=0)["zscore_price"] is None
    assert asked(NOON, price=0)["odd"] is None
    assert asked(NOON, bags=1)["zscore_price"] == 0.0


def test_a_cross_takes_the_calendar_for_categories() -> None:
    """These codes are stored in vectors and models: they are frozen."""
    found = asked(NOON)
    assert (found["kind_in_month"], found["days"]) == (KIND_IN_MONTH, DAYS)
    assert (mixed([1, 2]), mixed([0, 5, 1])) == (KIND_IN_MONTH, DAYS)
    assert asked(NOON, kind=None)["kind_in_month"] is None
