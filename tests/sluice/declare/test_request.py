from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice import cross, hour, is_night, is_weekend, ratio, value, weekday
from tests.sluice.declare.examples import refusal, windows

pytestmark = pytest.mark.unit


def test_each_has_a_name_that_says_what_it_is_or_one_of_its_own() -> None:
    mean = windows()["count_1d"]
    made = [hour(), weekday(), is_weekend(), is_night(), value("amount"), cross("channel", "country")]
    assert [item.name for item in made] == ["hour", "weekday", "is_weekend", "is_night", "amount", "channel_x_country"]
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
    ]
    described = [item.describe() for item in made]
    assert all(described.count(one) == 1 for one in described)
    assert ratio("amount", windows()["count_1d"], name="r").describe()["operands"] == ["amount", "spend__count_1d"]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
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
