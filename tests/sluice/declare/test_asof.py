from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sluice import AsOf, Category, Decimal, Flag, Integer, Key, Request, cross, difference, ratio
from sluice.declare.operands import Feature
from tests.sluice.declare.examples import TRANSACTIONS, pipeline, refusal, windows

pytestmark = pytest.mark.unit


def calendar(name: str = "calendar", **changes: Any) -> AsOf:
    features = {"is_holiday": Flag(), "days_to_next": Integer(min=0, max=400)}
    return AsOf(name, **({"table": "holidays", "on": "country", "features": features} | changes))


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: calendar(table="Holidays"), "AsOf('calendar').table: 'Holidays' cannot be a name\n"),
        (
            lambda: calendar(on=3),
            "AsOf('calendar'): on=3\n  allowed: a column, several, or {column: its name in the table}",
        ),
        (
            lambda: calendar(on=("country", "country")),
            "AsOf('calendar').on: column 'country' is declared twice\n",
        ),
        (lambda: calendar(on={"country": "Land"}), "AsOf('calendar').on: 'Land' cannot be a name\n"),
        (
            lambda: calendar(features={}),
            "AsOf('calendar'): features={}\n  allowed: a mapping such as {\"is_holiday\": Flag()}",
        ),
        (
            lambda: calendar(features={"is_holiday": bool}),
            "AsOf('calendar').features: column 'is_holiday' is a type\n",
        ),
        (
            lambda: calendar(features={"region": Key()}),
            "AsOf('calendar').features: key 'region' is no value\n  allowed: Category(), Decimal(), Flag(), Integer()",
        ),
        (
            lambda: calendar(features={"is__holiday": Flag()}),
            "AsOf('calendar').features: 'is__holiday' cannot be a name\n",
        ),
        (lambda: calendar(features={"country": Flag()}), "AsOf('calendar'): column 'country' is declared twice\n"),
        (
            lambda: calendar(features={"valid_from": Flag()}),
            "AsOf('calendar'): column 'valid_from' is declared twice\n",
        ),
        (lambda: calendar(known_after="soon"), "AsOf('calendar').known_after: 'soon' is not a duration\n"),
        (
            lambda: calendar(known_after="2d", valid_for="2d"),
            "AsOf('calendar'): valid_for 2d ends before a row is known\n  allowed: more than known_after, 2d",
        ),
        (
            lambda: calendar()["days_to_nex"],
            (
                "AsOf('calendar'): unknown feature 'days_to_nex'\n"
                "  allowed: days_to_next, is_holiday\n  next: did you mean 'days_to_next'?"
            ),
        ),
        (
            lambda: pipeline(windows(), calendar(on="amount")),
            "Pipeline('fraud').calendar.on: decimal 'amount' is no key\n  allowed: customer_id, name, channel, country",
        ),
        (
            lambda: pipeline(windows(), calendar(on="contry")),
            (
                "Pipeline('fraud').calendar.on: unknown category or key of the scored events 'contry'\n"
                "  allowed: channel, country, customer_id, name\n  next: did you mean 'country'?"
            ),
        ),
        (
            lambda: pipeline(windows(), calendar(), calendar("second", on="channel")),
            "Pipeline('fraud').second.on: table 'holidays' has other keys here\n  allowed: country",
        ),
        (
            lambda: pipeline(windows(), calendar(), calendar("second", features={"days_to_next": Integer(max=9)})),
            (
                "Pipeline('fraud').second.features: column 'days_to_next' of table 'holidays' is declared otherwise by "
                "another view\n  allowed: Integer(nullable=False, min=0, max=400)"
            ),
        ),
        (
            lambda: pipeline(windows(), Request("m", ratio("amount", calendar()["is_holiday"], name="r"))),
            "Pipeline('fraud').m.r: unknown view 'calendar'\n  allowed: spend",
        ),
        (
            lambda: pipeline(windows(), calendar(), Request("m", cross("channel", calendar()["is_holiday"], name="r"))),
            "Pipeline('fraud').m.r: cross of 'calendar__is_holiday'\n  allowed: categories, season, ",
        ),
    ],
)
def test_a_view_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare).startswith(message)


def test_the_places_of_the_tables_stand_between_windows_and_request() -> None:
    weather = AsOf("weather", table="weather", features={"sky": Category("clear", "cloud"), "station": Category()})
    moment = Request(
        "moment", difference("amount", calendar()["days_to_next"], name="d"), cross(weather["sky"], "country", name="x")
    )
    assert pipeline(moment, calendar(), windows(), weather).features == (
        Feature("spend__count_1d", "number"),
        Feature("calendar__is_holiday", "number"),
        Feature("calendar__days_to_next", "number"),
        Feature("weather__sky", "category", 2),
        Feature("weather__station", "category"),
        Feature("moment__d", "number"),
        Feature("moment__x", "category"),
    )


def test_a_table_holds_what_its_views_declare_under_its_own_names() -> None:
    prices = {"price": Decimal(scale=3, nullable=True)}
    by_name = calendar("own", table="prices", on={"name": "owner", "channel": "sold_by"}, features=prices)
    again = calendar("other", table="prices", on={"name": "owner", "channel": "sold_by"}, features={"level": Flag()})
    table = pipeline(windows(), by_name, again).tables["prices"]
    assert (table.keys, table.values) == (
        {"owner": Key("text", nullable=False), "sold_by": Category("pos", "online")},
        {**prices, "level": Flag()},
    )
    assert list(table.columns) == ["owner", "sold_by", "price", "level"]
    assert TRANSACTIONS.columns["name"].nullable


def test_the_definition_changes_with_what_a_lookup_means_and_only_then() -> None:
    def definition(**changes: Any) -> str:
        return pipeline(windows(), calendar(**changes)).definition

    same = [definition(), definition(on=["country"]), definition(on={"country": "country"}), definition(known_after=0)]
    features = {"days_to_next": Integer(min=0, max=400), "is_holiday": Flag()}
    different = [
        pipeline(windows()).definition,
        definition(),
        definition(name="other"),
        definition(table="other"),
        definition(on=()),
        definition(on={"country": "land"}),
        definition(features=features),
        definition(known_after="1us"),
        definition(valid_for="1d"),
    ]
    assert len(set(same)) == 1
    assert len(set(different)) == len(different)
