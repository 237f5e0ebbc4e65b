"""Percentiles and kinds of values, exact and estimated, worked out by hand from the table in `sales`."""

from __future__ import annotations

import functools

import pytest

from sluice import distinct, percentile, top, top_share
from tests.golden.sales import CLOTH, FRUIT, Found, worked

pytestmark = pytest.mark.unit

MAKERS = {
    "median": functools.partial(percentile, "price", 0.5),
    "most": functools.partial(percentile, "price", 0.8),
    "bucketed": functools.partial(percentile, "pieces", 0.75, exact=2, error=0.25),
    "distinct": functools.partial(distinct, "buyer"),
    "estimated": functools.partial(distinct, "pieces", exact=3),
    "top": functools.partial(top, "kind"),
    "top_of_two": functools.partial(top, "kind", cardinality=2),
    "top_share": functools.partial(top_share, "kind"),
    "top_share_of_two": functools.partial(top_share, "kind", cardinality=2),
}


@functools.cache
def of(form: str) -> Found:
    return worked(MAKERS, form)


@pytest.mark.parametrize(
    ("form", "median", "most"),
    [
        ("plain", 4.0, 4.0),  # -1 2 4 4 7: the third and the fourth of five
        ("filtered", 4.0, 7.0),  # 2 4 7: 1.5 of three is the second, 2.4 the third
        ("lifetime", 4.0, 8.0),  # -1 2 3 4 4 6 7 8 9: 4.5 of nine is the fifth, 7.2 the eighth
        ("included", 4.0, 5.0),  # -1 2 4 4 5 7: the third of six, and 4.8 is the fifth
        ("delayed", 4.0, 6.0),  # 2 3 4 6 9: the third and the fourth of five
        ("slots", 4.0, 4.0),  # -1 2 4 4 9
    ],
)
def test_percentile(form: str, median: float, most: float) -> None:
    assert (of(form)["median"], of(form)["most"]) == (median, most)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # the leading two binary digits make a bucket: 6 and 7 have the middle 7, 8 to 11 have 10
        ("plain", 7.0),  # 1 2 3 3 6 8: 4.5 of six is the fifth
        ("filtered", 10.0),  # 3 3 8: 2.25 of three is the third
        ("lifetime", 7.0),  # 1 1 2 2 3 3 4 5 6 7 8: 8.25 of eleven is the ninth
        ("included", 7.0),  # 1 2 3 3 4 6 8: 5.25 of seven is the sixth
        ("delayed", 7.0),  # 1 2 3 4 6 7: the fifth of six
        ("slots", 7.0),  # 1 2 3 3 6 7
    ],
)
def test_percentile_of_more_values_than_are_kept(form: str, expected: float) -> None:
    assert of(form)["bucketed"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 3.0),  # a b b d a a
        ("filtered", 2.0),  # a d a
        ("lifetime", 4.0),  # a b c d
        ("included", 4.0),  # a b d and e
        ("delayed", 3.0),  # a b c a b b
        ("slots", 4.0),  # c a b b d a
    ],
)
def test_distinct(form: str, expected: float) -> None:
    assert of(form)["distinct"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        # of more than three kinds 2 over the third least hash; as parts of one: 3 has 0.0442, 2 has 0.2295,
        # 8 has 0.27605895…, 4 has 0.27954127…, 7 has 0.45323430…, and 1, 5, 6 have more
        ("plain", 7.244829388785464),  # 1 2 3 6 8: 2 / 0.27605895
        ("filtered", 2.0),  # 3 8 are so few that they are counted
        ("lifetime", 7.244829388785464),  # 1 to 8: 8 is the third again
        ("included", 7.244829388785464),  # 1 2 3 4 6 8
        ("delayed", 7.15457842707249),  # 1 2 3 4 6 7: 2 / 0.27954127
        ("slots", 4.41272866529545),  # 1 2 3 6 7: 2 / 0.45323430
    ],
)
def test_distinct_of_more_kinds_than_are_kept(form: str, expected: float) -> None:
    assert of(form)["estimated"] == expected


@pytest.mark.parametrize(
    ("form", "expected", "of_two"),
    [
        ("plain", FRUIT, None),  # fruit 2, cloth 2, spice 1: of equals the least code; three kinds are too many for two
        ("filtered", FRUIT, FRUIT),  # fruit 2, spice 1
        ("lifetime", FRUIT, None),  # fruit 4, cloth 4, spice 2
        ("included", CLOTH, None),  # fruit 2, cloth 3, spice 1
        ("delayed", FRUIT, None),  # fruit 2, cloth 2, spice 1
        ("slots", FRUIT, FRUIT),  # fruit 3, cloth 2
    ],
)
def test_top(form: str, expected: int, of_two: int | None) -> None:
    assert (of(form)["top"], of(form)["top_of_two"]) == (expected, of_two)


@pytest.mark.parametrize(
    ("form", "expected", "of_two"),
    [
        ("plain", 0.4, None),  # 2 of 5
        ("filtered", 0.6666666666666666, 0.6666666666666666),  # 2 of 3
        ("lifetime", 0.4, None),  # 4 of 10
        ("included", 0.5, None),  # 3 of 6
        ("delayed", 0.4, None),  # 2 of 5
        ("slots", 0.6, 0.6),  # 3 of 5
    ],
)
def test_top_share(form: str, expected: float, of_two: float | None) -> None:
    assert (of(form)["top_share"], of(form)["top_share_of_two"]) == (expected, of_two)
