from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sluice.clock import from_datetime
from sluice.engine.vectors import vectors
from tests.sluice.engine.oracle import Asked
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
