"""Least, greatest, first and last values, and how long ago they were, worked out by hand from the table in `sales`."""

from __future__ import annotations

import functools

import pytest

from sluice import first, last, max_, min_, since_first, since_last
from tests.golden.sales import CLOTH, FRUIT, SPICE, Found, worked

pytestmark = pytest.mark.unit

MAKERS = {
    "min": functools.partial(min_, "price"),
    "max": functools.partial(max_, "price"),
    "first": functools.partial(first, "price"),
    "last": functools.partial(last, "price"),
    "first_kind": functools.partial(first, "kind"),
    "last_kind": functools.partial(last, "kind"),
    "since_first": since_first,
    "since_last": since_last,
}


@functools.cache
def of(form: str) -> Found:
    return worked(MAKERS, form)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", -1.0),  # 10
        ("filtered", 2.0),  # 6
        ("lifetime", -1.0),  # 10
        ("included", -1.0),  # 10, the request's 5 is none
        ("delayed", 2.0),  # 6
        ("slots", -1.0),  # 10
    ],
)
def test_min(form: str, expected: float) -> None:
    assert of(form)["min"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 7.0),  # 11
        ("filtered", 7.0),  # 11
        ("lifetime", 9.0),  # 5
        ("included", 7.0),  # 11
        ("delayed", 9.0),  # 5
        ("slots", 9.0),  # 5
    ],
)
def test_max(form: str, expected: float) -> None:
    assert of(form)["max"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 2.0),  # 6
        ("filtered", 2.0),  # 6
        ("lifetime", 8.0),  # 1
        ("included", 2.0),  # 6
        ("delayed", 3.0),  # 3
        ("slots", 9.0),  # 5
    ],
)
def test_first(form: str, expected: float) -> None:
    assert of(form)["first"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 7.0),  # 11
        ("filtered", 7.0),  # 11
        ("lifetime", 7.0),  # 11
        ("included", 7.0),  # 11: the request is not its own last sale
        ("delayed", 4.0),  # 7, for 8 has no price
        ("slots", -1.0),  # 10
    ],
)
def test_last(form: str, expected: float) -> None:
    assert of(form)["last"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", FRUIT),  # 6
        ("filtered", FRUIT),  # 6
        ("lifetime", FRUIT),  # 1
        ("included", FRUIT),  # 6
        ("delayed", CLOTH),  # 3
        ("slots", FRUIT),  # 5
    ],
)
def test_first_of_a_category_is_its_code(form: str, expected: int) -> None:
    assert of(form)["first_kind"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", SPICE),  # 11
        ("filtered", SPICE),  # 11
        ("lifetime", SPICE),  # 11
        ("included", SPICE),  # 11
        ("delayed", CLOTH),  # 7, for 8 has no kind
        ("slots", CLOTH),  # 10
    ],
)
def test_last_of_a_category_is_its_code(form: str, expected: int) -> None:
    assert of(form)["last_kind"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 599.999999),  # 6: ten minutes but a microsecond
        ("filtered", 599.999999),  # 6
        ("lifetime", 2400.0),  # 1: forty minutes
        ("included", 599.999999),  # 6
        ("delayed", 840.0),  # 3: fourteen minutes before the request, not before the end of the window
        ("slots", 600.0),  # 5
    ],
)
def test_since_first(form: str, expected: float) -> None:
    assert of(form)["since_first"] == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("plain", 0.0),  # 11
        ("filtered", 0.0),  # 11
        ("lifetime", 0.0),  # 11
        ("included", 0.0),  # 11
        ("delayed", 300.0),  # 8
        ("slots", 120.0),  # 10
    ],
)
def test_since_last(form: str, expected: float) -> None:
    assert of(form)["since_last"] == expected
