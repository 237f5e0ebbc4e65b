from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import (
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


def test_every_function_has_a_name_that_says_what_it_is() -> None:
    groups = [
        min_("amount", "1d"),
        max_("amount", "lifetime"),
        std("amount", "7d"),
        percentile("amount", 0.95, "7d"),
        percentile("amount", 0.999, "7d"),
        distinct("country", "7d"),
        first("amount"),
        last("channel", "30d"),
        top("country", "7d"),
        top_share("country", "7d"),
        decayed_count(half_life="12h"),
        decayed_sum("amount", half_life="3d"),
        decayed_mean("amount", half_life="3d"),
        since_last("1h"),
        since_first("lifetime"),
    ]
    assert [group[0].name for group in groups] == [
        "min_amount_1d",
        "max_amount_lifetime",
        "std_amount_7d",
        "p95_amount_7d",
        "p99_9_amount_7d",
        "distinct_country_7d",
        "first_amount",
        "last_channel_30d",
        "top_country_7d",
        "top_share_country_7d",
        "decayed_count_12h",
        "decayed_sum_amount_3d",
        "decayed_mean_amount_3d",
        "since_last_1h",
        "since_first_lifetime",
    ]


def test_a_percentile_divides_values_as_finely_as_its_error_asks() -> None:
    coarse, usual, fine = (percentile("amount", 0.95, "1d", error=error)[0] for error in (0.25, 0.01, 0.001))
    assert [item.parameters for item in (coarse, usual, fine)] == [
        (19, 20, 1, 128),
        (19, 20, 6, 128),
        (19, 20, 9, 128),
    ]


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
        (
            lambda: count("90s"),
            "count(): window '90s' is impossible\n  allowed: whole minutes, 1min or more, or lifetime",
        ),
        (
            lambda: count("0d"),
            "count(): window '0d' is impossible\n  allowed: whole minutes, 1min or more, or lifetime",
        ),
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
        (lambda: since_last(name="a__b"), f"since_last().name: 'a__b' cannot be a name\n  {NOT_A_NAME}"),
        (
            lambda: count("1d", where=col("channel") == "pos"),
            "count(): a filtered feature has no name of its own\n  next: give name='online_{window}'",
        ),
        (
            lambda: count("1d", where="pos", name="pos"),
            'count(): where=\'pos\'\n  allowed: a filter such as col("channel") == "online"',
        ),
        (
            lambda: percentile("amount", 95, "1d"),
            "percentile('amount', 95): p=95\n  allowed: above 0 and up to 1, such as 0.95",
        ),
        (
            lambda: percentile("amount", 0.5, "1d", error=0.5),
            "percentile('amount', 0.5): error=0.5\n  allowed: 0.001 to 0.25",
        ),
        (
            lambda: distinct("country", "1d", exact=5_000),
            "distinct('country'): 5000 values to be kept one by one\n  allowed: 1 to 1024",
        ),
        (
            lambda: decayed_sum("amount", half_life="90s"),
            "decayed_sum('amount'): half_life '90s' is impossible\n  allowed: whole minutes, 1min to 26062d",
        ),
        (
            lambda: decayed_count(half_life="1d", where=col("flag") == 1),
            "decayed_count(): a filtered feature has no name of its own\n  next: give name='online_{window}'",
        ),
    ],
)
def test_a_function_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message
