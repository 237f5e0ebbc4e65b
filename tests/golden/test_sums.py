"""Counts, sums, means, shares and deviations, worked out by hand from the table in `sales`."""

from __future__ import annotations

import functools

import pytest

from sluice import count, mean, share, std, sum_
from tests.golden.sales import Found, worked

pytestmark = pytest.mark.unit

MAKERS = {
    "count": count,
    "sum": functools.partial(sum_, "price"),
    "mean": functools.partial(mean, "price"),
    "share": functools.partial(share, "paid"),
    "std": functools.partial(std, "price"),
    "std_pieces": functools.partial(std, "pieces"),
}


@functools.cache
def of(form: str) -> Found:
    return worked(MAKERS, form)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 6.0),  # 6 7 8 9 10 11
        ("filtered", 3.0),  # 6 9 11: what 8 is nobody knows
        ("lifetime", 11.0),  # 1 to 11
        ("included", 7.0),  # 6 to 11 and the request
        ("delayed", 6.0),  # 3 4 5 6 7 8
        ("slots", 6.0),  # 5 6 7 8 9 10: the last slot ended a microsecond before the request
    ],
)
def test_count(form: str, expected: float) -> None:
    assert of(form)["count"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 16.0),  # 2 + 4 + 4 - 1 + 7
        ("filtered", 13.0),  # 2 + 4 + 7
        ("lifetime", 42.0),  # 8 + 3 + 6 + 9 + 16
        ("included", 21.0),  # 16 + 5
        ("delayed", 24.0),  # 3 + 6 + 9 + 2 + 4
        ("slots", 18.0),  # 9 + 2 + 4 + 4 - 1
    ],
)
def test_sum(form: str, expected: float) -> None:
    assert of(form)["sum"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 3.2),  # 16 / 5: 8 has no price
        ("filtered", 4.333333333333333),  # 13 / 3
        ("lifetime", 4.666666666666667),  # 42 / 9: 2 and 8 have none
        ("included", 3.5),  # 21 / 6
        ("delayed", 4.8),  # 24 / 5
        ("slots", 3.6),  # 18 / 5
    ],
)
def test_mean(form: str, expected: float) -> None:
    assert of(form)["mean"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 0.5),  # 1 0 1 0: of 7 and 11 nobody knows
        ("filtered", 1.0),  # 1 1
        ("lifetime", 0.5),  # 1 0 1 0 and 1 0 1 0
        ("included", 0.6),  # 1 0 1 0 and the request's 1
        ("delayed", 0.4),  # 0 1 0 1 0
        ("slots", 0.4),  # 0 1 0 1 0
    ],
)
def test_share(form: str, expected: float) -> None:
    assert of(form)["share"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 2.6381811916545836),  # √(86 / 5 - 3.2²) = √6.96, of squares 4 + 16 + 16 + 1 + 49
        ("filtered", 2.0548046676563256),  # √(69 / 3 - (13 / 3)²) = √(38 / 9)
        ("lifetime", 2.9814239699997196),  # √(276 / 9 - (42 / 9)²) = √(80 / 9)
        ("included", 2.5),  # √(111 / 6 - 3.5²) = √6.25
        ("delayed", 2.4819347291981715),  # √(146 / 5 - 4.8²) = √6.16
        ("slots", 3.2619012860600183),  # √(118 / 5 - 3.6²) = √10.64
    ],
)
def test_std(form: str, expected: float) -> None:
    assert of(form)["std"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 2.4094720491334933),  # √(123 / 6 - (23 / 6)²) = √209 / 6
        ("filtered", 2.3570226039551585),  # √(82 / 3 - (14 / 3)²) = √50 / 3
        ("lifetime", 2.289032420366213),  # √(218 / 11 - (42 / 11)²) = √634 / 11
        ("included", 2.231499907401901),  # √(139 / 7 - (27 / 7)²) = √244 / 7
        ("delayed", 2.1147629234082532),  # √(115 / 6 - (23 / 6)²) = √161 / 6
        ("slots", 2.1343747458109497),  # √(108 / 6 - (22 / 6)²) = √164 / 6
    ],
)
def test_std_of_whole_numbers(form: str, expected: float) -> None:
    assert of(form)["std_pieces"] == expected
