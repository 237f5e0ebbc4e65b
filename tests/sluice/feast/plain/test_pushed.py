"""What is pushed to a plain view is written as a whole, or refused with the view, the column and the number of rows."""

from __future__ import annotations

import asyncio
from typing import Any

import pandas as pd
import pytest
from feast.data_source import PushMode

from sluice.errors import UserError
from sluice.feast.plain.online import rows_of
from tests.sluice.feast.plain.shop import NOW, Shop, at

pytestmark = pytest.mark.integration
NEXT = "\n  next: mend the rows, and push all of them again"
NO_TIME = (
    "view 'stats': column 'ts' has no event time in 1 of 2 rows; nothing is written\n"
    f"  allowed: a time in every row{NEXT}"
)


def frame(**changes: Any) -> pd.DataFrame:
    rows = {
        "driver_id": [1, 2],
        "ts": [at(90), at(91)],
        "made": [at(90), at(91)],
        "rate": [7.0, 8.0],
        "trips": [1, 2],
        "tags": [["a"], []],
    }
    return pd.DataFrame({name: values for name, values in {**rows, **changes}.items() if values is not None})


def refusal(shop: Shop, rows: pd.DataFrame, **how: Any) -> str:
    """How a push is refused, after which nothing of it is there."""
    with pytest.raises(UserError) as refused:
        shop.store.push("push", rows, **how)
    assert shop.online(["stats:rate"], [{"driver_id": 1}, {"driver_id": 2}])["rate"] == [None, None]
    return str(refused.value)


def test_a_row_without_an_event_time_refuses_the_whole_push(either: Shop) -> None:
    either.pushed()
    assert refusal(either, frame(ts=[at(90), pd.NaT])) == NO_TIME
    assert refusal(either, frame(ts=[at(90), None])) == NO_TIME
    with pytest.raises(UserError, match="column 'ts' has no event time in 1 of 2 rows"):
        asyncio.run(either.store.push_async("push", frame(ts=[pd.NaT, at(90)])))


def test_a_row_without_an_event_time_is_not_added_to_the_source_either(shop: Shop) -> None:
    shop.pushed()
    assert refusal(shop, frame(ts=[at(90), pd.NaT]), to=PushMode.OFFLINE) == NO_TIME


@pytest.mark.parametrize(("column", "others"), [("driver_id", "ts, made"), ("ts", "driver_id, made")])
def test_a_missing_column_is_named(shop: Shop, column: str, others: str) -> None:
    shop.pushed()
    assert refusal(shop, frame(**{column: None})) == (
        f"view 'stats': column {column!r} is not in the 2 rows; nothing is written\n"
        f"  allowed: {others}, rate, trips, tags{NEXT}"
    )


@pytest.mark.parametrize(
    ("column", "values", "told", "allowed"),
    [
        ("rate", ["much", "more"], "string in its 2 rows, which cannot be written as its type", "DOUBLE"),
        ("trips", ["one", "two"], "string in its 2 rows, which cannot be written as its type", "INT64"),
        ("tags", [1, 2], "int64 in its 2 rows, which cannot be written as its type", "STRING_LIST"),
        ("driver_id", ["anna", "bea"], "string in its 2 rows, which cannot be written as its type", "INT64"),
        ("ts", ["soon", "later"], "string in its 2 rows, which are no times", "timestamps, dates, RFC 3339"),
    ],
)
def test_a_column_of_another_type_is_named(shop: Shop, column: str, values: list[Any], told: str, allowed: str) -> None:
    shop.pushed()
    assert refusal(shop, frame(**{column: values})) == (
        f"view 'stats': column {column!r} holds {told}; nothing is written\n  allowed: {allowed}{NEXT}"
    )


def test_values_of_several_types_in_a_column_are_refused_with_its_name(shop: Shop) -> None:
    shop.pushed()
    assert refusal(shop, frame(rate=["much", 1.0])) == (
        "view 'stats': the 2 rows hold values of several types: "
        f"Conversion failed for column rate with type object; nothing is written{NEXT}"
    )


def test_times_are_read_as_feast_reads_them_and_a_creation_may_be_missing(either: Shop) -> None:
    either.pushed()
    either.store.push("push", frame(ts=["2026-01-04 18:00:00", "2026-01-04 19:00:00"], made=[pd.NaT, at(91)]))
    assert either.online(["stats:rate"], [{"driver_id": 1}, {"driver_id": 2}])["rate"] == [7.0, 8.0]


def test_rows_that_come_by_another_provider_have_event_times_too() -> None:
    rows: list[Any] = [(None, {}, NOW, None), (None, {}, pd.NaT, None)]
    with pytest.raises(UserError) as refused:
        rows_of("stats", rows)
    assert str(refused.value) == (
        "view 'stats': 1 of 2 rows have no event time; nothing is written\n"
        "  next: mend the rows, and write all of them again"
    )
