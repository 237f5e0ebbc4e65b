"""The Handbook's twelve window features on made-up transactions that lie exactly on edges and at one moment.

The published sample has few of them. Windows are `(t - W, t]` for customers, the request included, and
`(t - 7d - W, t - 7d]` for terminals, of transactions whose label is known by t.
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sluice.declare.durations import DAY, HOUR
from sluice.declare.loading import load_pipeline
from tests.golden.sales import on_every_path
from tests.sluice.engine.contents import with_leaf
from tests.sluice.engine.oracle import Asked, Version

pytestmark = pytest.mark.unit

HANDBOOK = load_pipeline("handbook")
T = 1_533_124_800_000_000
"""2018-08-01 12:00 UTC."""
CUSTOMER, TERMINAL, ELSEWHERE = 1, 10, 99


def paid(id_: int, ago: int, cents: int, customer: int = CUSTOMER, terminal: int = ELSEWHERE) -> Version:
    values = {"customer_id": customer, "terminal_id": terminal, "amount": cents}
    return Version("transactions", id_, T - ago, values, hash=id_, known=T - ago)


def at_terminal(id_: int, ago: int, fraud: int | None, known: int = 7 * DAY) -> list[Version]:
    """A transaction of somebody else, and its label, told so long after it."""
    made = paid(id_, ago, 1, customer=1_000 + id_, terminal=TERMINAL)
    told = {"transaction_id": id_, "is_fraud": fraud}
    label = Version("transactions_is_fraud", id_, T - ago + 7 * DAY, told, hash=id_, known=T - ago + known)
    return [made] if fraud is None else [made, label]


BY_CUSTOMER = [
    paid(1, 30 * DAY, 100_00),  # in no window
    paid(2, 30 * DAY - 1, 50_00),  # in 30 days
    paid(3, 7 * DAY, 20_00),
    paid(4, 7 * DAY - 1, 10_00),  # in 7 days
    paid(5, DAY, 4_00),
    paid(6, DAY - 1, 2_00),  # in 1 day
    paid(7, 0, 1_00),  # at this moment, with a smaller id
    paid(2_000, 0, 900_00),  # with a greater one
    paid(8, -1, 900_00),  # a microsecond later
    paid(9, 1, 900_00, customer=2),  # of somebody else
]
AT_TERMINAL = [
    *at_terminal(11, 37 * DAY, 1),  # in no window
    *at_terminal(12, 37 * DAY - 1, 1),  # in 30 days
    *at_terminal(13, 14 * DAY, 0),
    *at_terminal(14, 14 * DAY - 1, 1),  # in 7 days
    *at_terminal(15, 8 * DAY, 1),
    *at_terminal(16, 8 * DAY - 1, 0),  # in 1 day
    *at_terminal(3_000, 7 * DAY, 1),  # in 1 day, its label known just now, its id greater than the request's
    *at_terminal(18, 7 * DAY - 1, 1),  # too young
    *at_terminal(19, 7 * DAY + HOUR, 1, known=7 * DAY + HOUR + 1),  # its label known a microsecond too late
    *at_terminal(20, 7 * DAY + HOUR, None),  # nobody has told
]
OWN = {"customer_id": CUSTOMER, "terminal_id": TERMINAL, "amount": 3_00}
REQUEST = Asked(T, 1_000, OWN)


@functools.cache
def found(*, arrived: bool, **columns: Any) -> dict[str, Any]:
    """The vector of the request, which has arrived itself or not yet."""
    asked = Asked(T, 1_000, OWN | columns)
    itself = [Version("transactions", 1_000, T, OWN | columns, hash=0, known=T)] if arrived else []
    pipelines = [HANDBOOK, with_leaf(HANDBOOK, 1)]
    return on_every_path(pipelines, [*BY_CUSTOMER, *AT_TERMINAL, *itself], asked)


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "not yet"])
@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("count_1d", 3.0),  # 6, 7 and the request
        ("count_7d", 5.0),  # 4 5 6 7 and the request
        ("count_30d", 7.0),  # 2 3 4 5 6 7 and the request
        ("mean_amount_1d", 2.0),  # (2 + 1 + 3) / 3
        ("mean_amount_7d", 4.0),  # (10 + 4 + 6) / 5
        ("mean_amount_30d", 12.857142857142858),  # (50 + 20 + 20) / 7
    ],
)
def test_a_customers_windows_hold_what_is_younger_than_their_length_and_the_request(
    feature: str, expected: float, arrived: bool
) -> None:
    assert found(arrived=arrived)[feature] == expected


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "not yet"])
@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("count_1d", 2.0),  # 16 3,000
        ("count_7d", 4.0),  # 14 15 16 3,000
        ("count_30d", 6.0),  # 12 13 14 15 16 3,000
        ("share_is_fraud_1d", 0.5),  # 1 of 2
        ("share_is_fraud_7d", 0.75),  # 3 of 4
        ("share_is_fraud_30d", 0.6666666666666666),  # 4 of 6
    ],
)
def test_a_terminals_windows_end_a_week_ago_and_hold_what_is_known(
    feature: str, expected: float, arrived: bool
) -> None:
    assert found(arrived=arrived)[f"terminal__{feature}"] == expected


def test_somebody_new_has_only_the_request_and_a_terminal_without_history_no_risk() -> None:
    values = found(arrived=False, customer_id=77, terminal_id=78)
    assert {name: value for name, value in values.items() if not name.startswith("moment__")} == {
        "count_1d": 1.0,
        "count_7d": 1.0,
        "count_30d": 1.0,
        "mean_amount_1d": 3.0,
        "mean_amount_7d": 3.0,
        "mean_amount_30d": 3.0,
        "terminal__count_1d": 0.0,
        "terminal__count_7d": 0.0,
        "terminal__count_30d": 0.0,
        "terminal__share_is_fraud_1d": 0.0,
        "terminal__share_is_fraud_7d": 0.0,
        "terminal__share_is_fraud_30d": 0.0,
    }
