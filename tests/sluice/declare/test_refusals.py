"""Each mistake in a view's features is an error that says what, where, what is allowed and the next step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import get_args

import pytest

from sluice import (
    Label,
    col,
    count,
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
    std,
    sum_,
    top,
    top_share,
)
from sluice.declare.conditions import Condition
from sluice.declare.durations import DAY, duration, duration_text
from sluice.declare.functions import Function
from tests.sluice.declare.examples import FRAUD, TRANSACTIONS, refusal, windows

pytestmark = pytest.mark.unit


def _over_a_day(make: Callable[..., object], column: str) -> object:
    return make(column, "1d")


NUMBERS = {"sum": sum_, "mean": mean, "min": min_, "max": max_, "std": std}
KINDS = {"share": share, "distinct": distinct, "first": first, "last": last, "top": top, "top_share": top_share}
READERS: dict[str, Callable[[str], object]] = {
    **{name: functools.partial(_over_a_day, make) for name, make in (NUMBERS | KINDS).items()},
    "percentile": lambda column: percentile(column, 0.5, "1d"),
    "decayed_sum": lambda column: decayed_sum(column, half_life="1h"),
    "decayed_mean": lambda column: decayed_mean(column, half_life="1h"),
}
"""Every function that reads a column."""
WRONG = {
    **dict.fromkeys(NUMBERS, "channel"),
    "percentile": "name",
    "share": "amount",
    "first": "name",
    "last": "customer_id",
    "top": "flag",
    "top_share": "name",
    "decayed_sum": "country",
    "decayed_mean": "name",
}
"""A column that each cannot read; `distinct` can read any."""


def test_every_function_is_among_them() -> None:
    assert set(READERS) == set(get_args(Function)) - {"count", "decayed_count", "since_first", "since_last"}
    assert set(WRONG) == set(READERS) - {"distinct"}


@pytest.mark.parametrize("function", READERS)
def test_an_unknown_column_is_refused_with_those_there_are(function: str) -> None:
    refused = refusal(lambda: windows(features=[count("1d"), READERS[function]("amonut")]))
    assert refused.startswith("Windows('spend').")
    assert ": unknown column 'amonut'\n  allowed: " in refused


@pytest.mark.parametrize("function", WRONG)
def test_a_column_of_the_wrong_kind_is_refused_with_those_that_would_do(function: str) -> None:
    wrong = WRONG[function]
    refused = refusal(lambda: windows(features=[count("1d"), READERS[function](wrong)]))
    assert f": {function} of {TRANSACTIONS.columns[wrong].kind} {wrong!r}\n  allowed: " in refused


@pytest.mark.parametrize(
    "condition",
    [
        (col("channel") == "onlin"),
        col("channel") != "onlin",
        col("channel").isin(["pos", "onlin"]),
        ~((col("amount") > 1) & (col("channel") == "onlin")) | col("country").is_null(),
    ],
)
def test_a_category_that_nobody_declared_is_refused_wherever_it_stands_in_a_filter(condition: Condition) -> None:
    refused = refusal(lambda: windows(features=[count("1d", where=condition, name="some")]))
    assert refused.startswith("Windows('spend').some, ")
    assert refused.endswith(": unknown category 'onlin'\n  allowed: online, pos\n  next: did you mean 'online'?")


@pytest.mark.parametrize(("window", "slot"), [("1h", "1d"), ("7min", "5min"), ("25h", "1h"), ("1min", "5min")])
def test_a_window_is_whole_slots(window: str, slot: str) -> None:
    text = duration_text(duration(window))
    if duration(window) % duration(slot):
        assert refusal(lambda: windows(edge="slot", slot=slot, features=[count(window)])) == (
            f"Windows('spend').count_{text}: window {text} is no multiple of the slot\n  allowed: multiples of {slot}"
        )
    else:
        assert windows(edge="slot", slot=slot, features=[count(window)]).slot == duration(slot)


def test_a_view_over_a_label_waits_until_it_is_known_and_not_a_microsecond_less() -> None:
    known = Label("is_fraud", of=TRANSACTIONS, column="FRAUD", known_after="3d")
    for label, delay in ((FRAUD, 21 * DAY), (known, 3 * DAY)):
        assert windows(over=label, delay=delay, features=[count("1d")]).lag == delay
        assert refusal(
            lambda label=label, delay=delay: windows(over=label, delay=delay - 1, features=[count("1d")])
        ) == (
            f"Windows('spend'): delay {delay - 1}us is shorter than the label takes to be known\n"
            f"  allowed: {duration_text(delay)} or more\n"
            "  next: a shorter delay would see the frauds before the genuine events"
        )


@pytest.mark.parametrize("p", [0, -0.5, 1.0000001, 95, float("nan"), "0.5", None])
def test_a_percentile_lies_above_0_and_up_to_1(p: object) -> None:
    assert refusal(lambda: percentile("amount", p, "1d")) == (
        f"percentile('amount', {p!r}): p={p!r}\n  allowed: above 0 and up to 1, such as 0.95"
    )
    assert [percentile("amount", edge, "1d")[0].parameters[:2] for edge in (0.001, 1)] == [(1, 1_000), (1, 1)]


@pytest.mark.parametrize("error", [0.0009, 0.251, 0, -1, float("nan")])
def test_the_error_of_a_percentile_is_a_thousandth_to_a_quarter(error: float) -> None:
    assert refusal(lambda: percentile("amount", 0.5, "1d", error=error)) == (
        f"percentile('amount', 0.5): error={error!r}\n  allowed: 0.001 to 0.25"
    )


@pytest.mark.parametrize("number", [0, -1, 1_025, 2.5])
def test_a_few_values_are_kept_one_by_one(number: int) -> None:
    kept = [
        ("percentile('amount', 0.5)", lambda: percentile("amount", 0.5, "1d", exact=number)),
        ("distinct('country')", lambda: distinct("country", "1d", exact=number)),
        ("top('country')", lambda: top("country", "1d", cardinality=number)),
        ("top_share('country')", lambda: top_share("country", "1d", cardinality=number)),
    ]
    for where, declare in kept:
        assert refusal(declare) == f"{where}: {number!r} values to be kept one by one\n  allowed: 1 to 1024"
