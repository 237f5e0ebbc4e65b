"""Features of the request itself and what it looks up, worked out by hand: a sale on Saturday 2024-02-03 01:00."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluice import (
    AsOf,
    Category,
    Decimal,
    Flag,
    Integer,
    Pipeline,
    Request,
    Windows,
    count,
    cross,
    difference,
    hour,
    is_night,
    is_weekend,
    mean,
    minutes_since_midnight,
    month,
    ratio,
    season,
    std,
    value,
    weekday,
    zscore,
)
from sluice.declare.durations import MINUTE
from sluice.engine.asof import Lookups
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import as_values, pack, vectors
from tests.golden.sales import CLOTH, EVENTS, FRUIT, REQUEST, RETURNED, SALES, T
from tests.sluice.engine.folding import assert_same_bits, fold_all
from tests.sluice.engine.lookups import encoded_rows
from tests.sluice.engine.oracle import mixed
from tests.sluice.engine.worlds import asked_table, tables

pytestmark = pytest.mark.unit

STALL = Windows(
    "stall", of="stall", over=SALES, features=[count("10min"), mean("price", "10min"), std("price", "10min")]
)
LISTED = {"listed": Decimal(scale=3), "demand": Category("low", "high")}
"""The columns of the price list."""
PRICES = AsOf("held", table="price_list", on="kind", features=LISTED, known_after="5min")
VIEWS = [
    PRICES,
    AsOf("younger", table="price_list", on="kind", features=LISTED, known_after="299999999us"),
    AsOf("ended", table="price_list", on="kind", features=LISTED, known_after="6min", valid_for="25min"),
    AsOf("lasting", table="price_list", on="kind", features=LISTED, known_after="6min", valid_for="1500000001us"),
    AsOf("open_days", table="days", features={"is_open": Flag(), "until": Integer(nullable=True)}),
]
MOMENT = Request(
    "now",
    value("price"),
    value("kind"),
    hour(),
    weekday(),
    month(),
    season(),
    season(hemisphere="south", name="southern"),
    minutes_since_midnight(),
    is_weekend(),
    is_night(),
    is_night(22, 0, name="late"),
    ratio("price", STALL["mean_price_10min"], name="ratio"),
    ratio("price", "paid", name="ratio_to_paid"),
    difference("price", PRICES["listed"], name="difference"),
    zscore("price", mean=STALL["mean_price_10min"], std=STALL["std_price_10min"], name="zscore"),
    ratio(difference("pieces", "paid"), minutes_since_midnight(), name="nested"),
    cross("kind", PRICES["demand"], name="cross"),
    cross(weekday(), "kind", hour(), name="cross_of_three"),
)
PIPELINE = Pipeline("stalls", views=[STALL, *VIEWS, MOMENT], label=RETURNED)


def row(kind: int, before: int, listed: int, demand: int) -> dict[str, Any]:
    return {"kind": kind, "valid_from": T - before, "listed": listed, "demand": demand}


TABLES = {
    "price_list": [
        row(CLOTH, 40 * MINUTE, 3_000, 0),
        row(CLOTH, 25 * MINUTE, 4_125, 0),
        row(CLOTH, 5 * MINUTE, 5_250, 1),
        row(CLOTH, 5 * MINUTE - 1, 6_000, 0),
        row(FRUIT, 6 * MINUTE, 9_000, 0),
    ],
    "days": [
        {"valid_from": T - 60 * MINUTE, "is_open": 1, "until": 7},
        {"valid_from": T, "is_open": 0, "until": None},
        {"valid_from": T + 1, "is_open": 1, "until": 9},
    ],
}

ENCODED = {name: encoded_rows(PIPELINE.tables[name], rows) for name, rows in TABLES.items()}


def found(**columns: Any) -> dict[str, Any]:
    """The request's vector without the windows, computed at once and read from a store."""
    lookups = Lookups.of(PIPELINE, ENCODED, dict.fromkeys(ENCODED, 0))
    asked = asked_table(PIPELINE, [replace(REQUEST, values=REQUEST.values | columns)])
    whole = vectors(PIPELINE, tables(PIPELINE, EVENTS), asked, lookups)
    store = MemoryStore()
    fold_all(PIPELINE, store, [EVENTS])
    read = answer(PIPELINE, store, asked, lookups)
    assert_same_bits(PIPELINE, pack(PIPELINE, read.values), pack(PIPELINE, as_values(PIPELINE, whole)))
    (values,) = whole.to_pylist()
    return {name: value for name, value in values.items() if not name.startswith("stall__")}


EXPECTED = {
    "price": 5.0,
    "kind": CLOTH,
    "hour": 1.0,
    "weekday": 5.0,  # Monday is 0
    "month": 2.0,
    "season": 0,  # winter
    "southern": 2,  # summer
    "minutes_since_midnight": 60.0,
    "is_weekend": 1.0,
    "is_night": 1.0,  # from 0 to 6
    "late": 0.0,  # 22, 23 and 0
    "ratio": 1.5625,  # 5 / 3.2
    "ratio_to_paid": 5.0,  # 5 / 1
    "difference": -0.25,  # 5 - 5.25
    "zscore": 0.682288239221013,  # (5 - 3.2) / 2.6381811916545836
    "nested": 0.05,  # (4 - 1) / 60
    "cross": -1581400431298398339,  # the hash of the codes 1 and 1
    "cross_of_three": 6312379363640464735,  # of 5, 1 and 1
}


@pytest.mark.parametrize(("feature", "expected"), EXPECTED.items())
def test_a_feature_of_the_moment(feature: str, expected: float) -> None:
    assert found()[f"now__{feature}"] == expected


def test_a_cross_is_the_hash_of_its_codes() -> None:
    assert (mixed([1, 1]), mixed([5, 1, 1])) == (EXPECTED["cross"], EXPECTED["cross_of_three"])


@pytest.mark.parametrize(
    ("columns", "without"),
    [
        ({"price": None}, {"price", "ratio", "ratio_to_paid", "difference", "zscore"}),
        ({"paid": 0}, {"ratio_to_paid"}),
        ({"paid": None}, {"ratio_to_paid", "nested"}),
        ({"kind": None}, {"kind", "difference", "cross", "cross_of_three"}),
        ({"stall": None}, {"ratio", "zscore"}),
    ],
    ids=["no price", "nothing to divide by", "nobody knows whether it is paid", "no kind", "no stall"],
)
def test_what_has_nothing_to_be_made_from_is_null(columns: dict[str, Any], without: set[str]) -> None:
    values = found(**columns)
    assert {name for name in EXPECTED if values[f"now__{name}"] is None} == without


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("held__listed", 5.25),  # of five minutes ago, and known just now
        ("held__demand", 1),
        ("younger__listed", 6.0),  # known a microsecond sooner, the next one stands already
        ("ended__listed", None),  # six minutes ago 4.125 was known; it held for 25 minutes, until just now
        ("lasting__listed", 4.125),  # it holds for a microsecond more
        ("open_days__is_open", 0.0),  # of one table without key the row of this very moment
        ("open_days__until", None),
    ],
)
def test_a_looked_up_feature_is_of_the_last_row_that_is_known_and_still_holds(
    feature: str, expected: float | None
) -> None:
    assert found()[feature] == expected


def test_a_key_that_is_null_or_not_in_the_table_looks_nothing_up() -> None:
    assert [found(kind=kind)["held__listed"] for kind in (FRUIT, CLOTH, 2, None)] == [9.0, 5.25, None, None]
