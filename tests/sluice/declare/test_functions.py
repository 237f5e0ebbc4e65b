from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import count, mean, share, since_last, sum_
from sluice.declare.durations import DAY, HOUR
from tests.sluice.declare.examples import refusal

pytestmark = pytest.mark.unit

NOT_A_NAME = "allowed: lower case letters, digits and single underscores, a letter first"


def test_each_window_is_a_feature_with_a_name_that_says_what_it_is() -> None:
    assert [(item.function, item.column, item.window, item.name) for item in mean("amount", "12h", "7d")] == [
        ("mean", "amount", 12 * HOUR, "mean_amount_12h"),
        ("mean", "amount", 7 * DAY, "mean_amount_7d"),
    ]
    names = [item.name for group in (count("24h"), sum_("amount", "7d"), share("bad", "90min")) for item in group]
    assert names == ["count_1d", "sum_amount_7d", "share_bad_90min"]
    assert [(item.name, item.window) for item in since_last()] == [("since_last", None)]


def test_a_feature_may_have_a_name_of_its_own() -> None:
    assert [item.name for item in count("1d", "7d", name="payments_{window}")] == ["payments_1d", "payments_7d"]
    assert [item.name for item in since_last(name="idle")] == ["idle"]


def test_a_filling_is_a_float_whatever_way_it_is_written() -> None:
    assert mean("amount", "1d", fill=0) == mean("amount", "1d", fill=0.0)
    assert [mean("amount", "1d", fill=fill)[0].fill for fill in (None, 0, -1.5)] == [None, 0.0, -1.5]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (count, "count(): no window is given\n  next: say how far back, like '7d'"),
        (lambda: sum_("amount"), "sum('amount'): no window is given\n  next: say how far back, like '7d'"),
        (lambda: count("90s"), "count(): window '90s' is impossible\n  allowed: whole minutes, 1min or more"),
        (lambda: count("0d"), "count(): window '0d' is impossible\n  allowed: whole minutes, 1min or more"),
        (
            lambda: mean("amount", "week"),
            (
                "mean('amount'): 'week' is not a duration\n"
                "  allowed: a whole number and a unit: us, ms, s, min, h, d\n"
                "  next: write it like '30d' or '5min'"
            ),
        ),
        (
            lambda: mean("amount", "1d", fill=float("nan")),
            "mean('amount'): fill=nan\n  allowed: a finite number, or None for null",
        ),
        (lambda: count("1d", name="Count"), f"count().name: 'Count' cannot be a name\n  {NOT_A_NAME}"),
        (lambda: count("1d", name="{0}"), f"count().name: '{{0}}' cannot be a name\n  {NOT_A_NAME}"),
        (lambda: since_last(name="a__b"), f"since_last(name): 'a__b' cannot be a name\n  {NOT_A_NAME}"),
    ],
)
def test_a_function_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message
