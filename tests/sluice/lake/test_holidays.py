from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice import AsOf, Category, Flag, Integer, Key, Label, Pipeline, Stream, Windows, count
from sluice.declare.asof import AsOfTable
from sluice.errors import UserError
from sluice.lake.asof_rows import judge
from sluice.lake.holidays import COLUMNS, holiday_rows, source

pytestmark = pytest.mark.unit
DAYS = {name: Integer(max=400) for name in COLUMNS[1:]}


def table(on: Any = "country", **features: Any) -> AsOfTable:
    columns = {"card": Key(), "country": Category(), "land": Key("text")}
    sales = Stream("sales", id="sale_id", time="at", columns=columns)
    view = AsOf("calendar", table="days", on=on, features=features or {"is_holiday": Flag(), **DAYS})
    own = Windows("own", of="card", over=sales, features=[count("1d")])
    label = Label("bad", of=sales, column="BAD", known_after="1d")
    return Pipeline("shop", views=[own, view], label=label).tables["days"]


def test_every_day_of_every_country_has_a_row_and_new_year_lies_between_years() -> None:
    rows = {(row["country"], row["valid_from"][:10]): row for row in holiday_rows(table(), ["FR", "DE"], [2024, 2025])}
    assert len(rows) == 2 * (366 + 365)
    shown = [(key, *(rows[key][name] for name in COLUMNS)) for key in rows if key[1] in SEEN]
    assert shown == [
        (("FR", "2024-01-01"), 1, 0, 0),
        (("FR", "2024-07-13"), 0, 1, 54),  # Whit Monday was on 20 May
        (("FR", "2024-07-14"), 1, 0, 0),
        (("FR", "2024-12-31"), 0, 1, 6),
        (("FR", "2025-01-01"), 1, 0, 0),
        (("FR", "2025-12-31"), 0, 1, 6),
        (("DE", "2024-01-01"), 1, 0, 0),
        (("DE", "2024-07-13"), 0, 82, 54),  # German Unity Day is on 3 October
        (("DE", "2024-07-14"), 0, 81, 55),
        (("DE", "2024-12-31"), 0, 1, 5),
        (("DE", "2025-01-01"), 1, 0, 0),
        (("DE", "2025-12-31"), 0, 1, 5),
    ]


SEEN = {"2024-01-01", "2024-07-13", "2024-07-14", "2024-12-31", "2025-01-01", "2025-12-31"}


def test_the_rows_are_a_table_that_may_be_loaded() -> None:
    found = judge(table(), holiday_rows(table(), ["FR"], [2026]))
    assert (found.refused, len(found.accepted)) == ([], 365)
    assert found.accepted.column_names == ["valid_from", "country", *COLUMNS]


def test_only_what_is_declared_is_made_and_the_country_has_the_keys_name() -> None:
    made = next(holiday_rows(table(on={"land": "where"}, is_holiday=Flag()), ["FR"], [2026]))
    assert made == {"where": "FR", "valid_from": "2026-01-01T00:00:00Z", "is_holiday": 1}


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: holiday_rows(table(is_holyday=Flag()), ["FR"], [2026]), "unknown column 'is_holyday'"),
        (lambda: holiday_rows(table(), ["FX"], [2026]), "unknown country 'FX'"),
        (lambda: holiday_rows(table(on=()), ["FR"], [2026]), "the key is nothing"),
        (lambda: holiday_rows(table(on="card"), ["FR"], [2026]), "the key is card"),
        (lambda: holiday_rows(table(on=["country", "card"]), ["FR"], [2026]), "the key is country, card"),
    ],
)
def test_what_cannot_be_made_of_holidays_is_refused(ask: Callable[[], Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        list(ask())


@pytest.mark.parametrize(
    ("country", "nearest"),
    [("GERMANY", "DE"), ("FRANC", "FR"), ("FX", "XK, WF, TF, SX, PF"), ("??", "")],
)
def test_an_unknown_country_is_told_with_the_nearest_codes_and_how_to_list_them(country: str, nearest: str) -> None:
    with pytest.raises(UserError) as refused:
        list(holiday_rows(table(), [country], [2026]))
    first, allowed, step = str(refused.value).splitlines()
    assert first == f"holidays: unknown country {country!r}"
    assert allowed.startswith(f"  allowed: ISO 3166 codes; the nearest are {nearest}")
    assert "holidays.list_supported_countries" in step


def test_the_source_names_the_library_and_its_version() -> None:
    assert source(["FR", "DE"], [2024, 2025]).endswith(": FR, DE, 2024 to 2025")
    assert source(["FR"], [2024]).startswith("holidays 0.")
