"""Decayed counts, sums and means with a half-life of five minutes, worked out by hand from the table in `sales`.

Half-lives begin with the request's hour. A sale weighs 2^16 at the beginning of one, 75,279 a minute after it and
99,324 three minutes after it (2^(16 + 1/5) and 2^(16 + 3/5), by the table's step before). What a half-life adds up to
is halved, whole part by whole part, for each that has begun since; the request weighs 65,536.

    11        in the half-life of the request, 65,536         shifted by 0
    9 8, 10   in the one before it, 65,536 and 99,324         by 1
    6 5, 7    65,536 and 99,324                               by 2
    4, 3      99,324 and 75,279                               by 3
    2         65,536                                          by 6
    1         65,536                                          by 8
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sluice import count, decayed_count, decayed_mean, decayed_sum
from sluice.declare.functions import Windowed
from tests.golden.sales import Found, worked

pytestmark = pytest.mark.unit


def over_the_longest(decayed: Any, *columns: str) -> Any:
    """A decayed function takes the view's longest window."""

    def make(*windows: str, **options: Any) -> tuple[Windowed, ...]:
        return decayed(*columns, half_life="5min", **options)

    return make


MAKERS = {
    "window": count,  # the longest of the view
    "count": over_the_longest(decayed_count),
    "sum": over_the_longest(decayed_sum, "price"),
    "mean": over_the_longest(decayed_mean, "price"),
}


@functools.cache
def of(form: str) -> Found:
    return worked(MAKERS, form)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 3.3866729736328125),  # 65,536 + 230,396 / 2 + 164,860 / 4 = 221,949
        ("filtered", 1.75),  # 65,536 + 65,536 / 2 + 65,536 / 4 = 114,688
        ("lifetime", 3.989227294921875),  # 65,536 + 115,198 + 230,396 / 4 + 174,603 / 8 + 1,024 + 256 = 261,438
        ("included", 4.3866729736328125),  # 221,949 + 65,536
        ("delayed", 1.7119140625),  # 65,536 / 2 + 230,396 / 4 + 174,603 / 8 = 112,192
        ("slots", 2.6366729736328125),  # 230,396 / 2 + 230,396 / 4 = 172,797
    ],
)
def test_decayed_count(form: str, expected: float) -> None:
    assert of(form)["count"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # in cents: 700 * 65,536 + (400 * 65,536 - 100 * 99,324) / 2 + (200 * 65,536 + 400 * 99,324) / 4 = 67,225,400
        ("plain", 10.257781982421875),
        ("filtered", 9.5),  # 7 + 4 / 2 + 2 / 4
        # 45,875,200 and 8,141,000 as above, (1,100 * 65,536 + 400 * 99,324) / 4, (600 * 99,324 + 300 * 75,279) / 8
        ("lifetime", 14.106454772949219),  # and 204,800 make 92,448,062
        ("included", 15.257781982421875),  # 5 more
        ("delayed", 5.832986755371094),  # 27,954,800 + 10,272,262 = 38,227,062
        ("slots", 5.507781982421875),  # 8,141,000 + 27,954,800 = 36,095,800
    ],
)
def test_decayed_sum(form: str, expected: float) -> None:
    assert of(form)["sum"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # over the weights of what has a price, 8 left out
        ("plain", 3.553496387057897),  # 672,254 / (65,536 + 164,860 / 2 + 164,860 / 4 = 189,181)
        ("filtered", 5.428571428571429),  # 9.5 / 1.75
        ("lifetime", 4.061044867908946),  # 924,480.62 / (65,536 + 82,430 + 57,599 + 21,825 + 256 = 227,646)
        ("included", 3.925666524024702),  # (672,254 + 5 * 65,536) / (189,181 + 65,536)
        ("delayed", 4.81303661361805),  # 382,270.62 / (57,599 + 21,825)
        ("slots", 2.5777374686672045),  # 360,958 / (82,430 + 57,599)
    ],
)
def test_decayed_mean(form: str, expected: float) -> None:
    assert of(form)["mean"] == expected
