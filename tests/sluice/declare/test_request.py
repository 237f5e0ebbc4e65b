from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import (
    cross,
    difference,
    hour,
    is_night,
    is_weekend,
    minutes_since_midnight,
    month,
    ratio,
    season,
    value,
    weekday,
    zscore,
)
from tests.sluice.declare.examples import refusal, windows

pytestmark = pytest.mark.unit


def test_each_has_a_name_that_says_what_it_is_or_one_of_its_own() -> None:
    mean = windows()["count_1d"]
    made = [hour(), weekday(), is_weekend(), is_night(), value("amount"), cross("channel", "country")]
    assert [item.name for item in made] == ["hour", "weekday", "is_weekend", "is_night", "amount", "channel_x_country"]
    made = [month(), season(), minutes_since_midnight(), cross("channel", season(), month(name="m"))]
    assert [item.name for item in made] == ["month", "season", "minutes_since_midnight", "channel_x_season_x_m"]
    assert difference("amount", mean).name == "amount_minus_spend_count_1d"
    assert ratio(difference("a", "b"), hour()).name == "a_minus_b_per_hour"
    assert zscore("amount", mean=mean, std=mean).name == "zscore_amount"
    assert ratio("amount", mean).name == "amount_per_spend_count_1d"
    assert ratio(mean, mean, name="pace").name == "pace"
    assert value("amount", name="how_much").name == "how_much"


def test_a_description_says_what_changes_the_value() -> None:
    made = [
        is_night(),
        is_night(22, 5),
        ratio("a", "b", name="r"),
        ratio("b", "a", name="r"),
        cross("a", "b", name="r"),
        season(),
        season(hemisphere="south"),
        difference("a", "b", name="r"),
        zscore("a", mean="b", std="c", name="r"),
        zscore("a", mean="c", std="b", name="r"),
        ratio(difference("a", "b"), "b", name="r"),
        ratio(difference("b", "a"), "b", name="r"),
    ]
    described = [item.describe() for item in made]
    assert all(described.count(one) == 1 for one in described)
    assert ratio("amount", windows()["count_1d"], name="r").describe()["operands"] == ["amount", "spend__count_1d"]


def test_what_a_feature_inside_another_is_called_does_not_change_the_value() -> None:
    named = ratio(difference("a", "b", name="excess"), "b", name="r")
    assert named.describe() == ratio(difference("a", "b"), "b", name="r").describe()
    assert named.describe()["operands"] == [{"function": "difference", "operands": ["a", "b"], "parameters": []}, "b"]


def test_what_a_feature_is_made_from_is_found_through_others() -> None:
    mean = windows()["count_1d"]
    assert list(zscore(difference("a", mean), mean=hour(), std="b").leaves) == ["a", mean, "b"]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: season(hemisphere="sout"),
            ("season(hemisphere): unknown hemisphere 'sout'\n  allowed: north, south\n  next: did you mean 'south'?"),
        ),
        (
            lambda: ratio("amount", 3, name="r"),
            (
                "an operand of ratio, difference, zscore or cross: 3 is no value\n  allowed: a column, "
                "a view's feature such as spend['mean_amount_7d'], or another feature of the request"
            ),
        ),
        (lambda: cross("channel"), "cross: a cross of 1\n  allowed: two categories or more"),
        (lambda: is_night(0, 24), "is_night: hours 0 to 24\n  allowed: 0 to 23"),
        (
            lambda: hour(name="Hour"),
            (
                "hour(name): 'Hour' cannot be a name\n"
                "  allowed: lower case letters, digits and single underscores, a letter first"
            ),
        ),
    ],
)
def test_a_request_feature_that_cannot_be_is_refused(declare: Callable[[], object], message: str) -> None:
    assert refusal(declare) == message
