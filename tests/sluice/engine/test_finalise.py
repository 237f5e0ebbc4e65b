from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.engine.evaluate import Sums
from sluice.engine.finalise import deviation, divided, exact_root, finalise, places, quotient
from sluice.errors import DataError
from tests.sluice.engine.oracle import root
from tests.sluice.engine.pipelines import shop

pytestmark = pytest.mark.unit

SHOP = shop()
NONE = np.empty((2, 0), np.int64)
NEAR_EXACT = st.sampled_from([2**53 + off for off in (-1, 0, 1, 3)])


@settings(deadline=None)
@given(st.one_of(st.integers(-(2**62), 2**62), NEAR_EXACT), st.one_of(st.integers(1, 2**62), NEAR_EXACT))
def test_a_quotient_is_the_exact_rational_rounded_once(numerator: int, denominator: int) -> None:
    found = quotient(np.array([numerator]), np.array([denominator]))
    assert found[0] == float(Fraction(numerator, denominator))


def test_beyond_two_to_the_53_one_division_of_floats_would_round_twice() -> None:
    numerator, denominator = 9007199254741001, 38
    assert float(numerator) / float(denominator) == 237031559335289.47
    assert quotient(np.array([numerator]), np.array([denominator])).tolist() == [237031559335289.5]


def test_a_sum_of_large_values_is_rounded_once_and_not_its_parts() -> None:
    assert quotient(np.array([(2**53 - 1) * 3]), np.array([1])).tolist() == [27021597764222972.0]


def test_the_last_axis_is_the_feature() -> None:
    view = SHOP.view("till")  # count_1min, mean_amount_1min, since_last
    number, total = np.array([[3, 2, 1], [0, 0, 0]]), np.array([[3, 1001, 2_500_000], [0, 0, 0]])
    values, valid = finalise(places(view), Sums(number, total, NONE, NONE))
    assert values.tolist() == [[3.0, 5.005, 2.5], [0.0, 0.0, 0.0]]
    assert valid.tolist() == [[True, True, True], [True, False, False]]


def test_fill_stands_for_an_empty_window() -> None:
    view = SHOP.view("customer")
    index = [feature.name for feature in view.functions].index("mean_amount_3min")
    values, valid = finalise(places(view), Sums.empty(1, view))
    assert (values[0, index], valid[0, index]) == (-1.0, True)


def test_more_values_than_an_exact_sum_can_hold_are_refused_by_name() -> None:
    view = SHOP.view("customer")
    index = [feature.name for feature in view.functions].index("sum_items_3min")
    sums = Sums.empty(1, view)
    sums.number[0, index] = 1024
    finalise(places(view), sums)
    sums.number[0, index] = 1025
    with pytest.raises(DataError) as refused:
        finalise(places(view), sums)
    assert str(refused.value) == (
        "customer.sum_items_3min: 1,025 values at the declared bounds do not fit an exact sum\n"
        "  allowed: at most 1,024 values in a window\n"
        "  next: declare narrower bounds for the column, or a shorter window"
    )


def test_a_ratio_is_null_when_either_is_or_the_divisor_is_zero() -> None:
    over, under = np.array([1.0, 1.0, 3.0, 0.0]), np.array([2.0, 0.0, 4.0, -5.0])
    values, valid = divided(over, under, np.array([True, True, False, True]))
    assert valid.tolist() == [True, False, False, True]
    assert values.tolist() == [0.5, 0.0, 0.0, 0.0]
    assert np.signbit(values).tolist() == [False, False, False, True]


VALUES = st.lists(st.one_of(st.integers(-(10**7), 10**7), st.sampled_from([0, 1, 7, 10**7])), min_size=1, max_size=40)


def spread(values: list[int], unit: int) -> float:
    squares = sum(value * value for value in values)
    words = ([len(values)], [sum(values)], [squares >> 32], [squares & 0xFFFFFFFF])
    return float(deviation(*(np.array(word, np.int64) for word in words), unit)[0])


@settings(deadline=None)
@given(VALUES, st.sampled_from([1, 100, 10**6]))
def test_a_deviation_is_the_float_nearest_to_the_root_of_an_exact_fraction(values: list[int], unit: int) -> None:
    amounts = [Fraction(value, unit) for value in values]
    mean = sum(amounts, Fraction(0)) / len(amounts)
    assert spread(values, unit) == root(sum((amount - mean) ** 2 for amount in amounts) / len(amounts))


@settings(deadline=None)
@given(st.integers(0, 2**140), st.integers(1, 2**60))
def test_a_root_of_any_size_is_the_nearest_float(radicand: int, divisor: int) -> None:
    assert exact_root(radicand, divisor) == root(Fraction(radicand, divisor**2))


@pytest.mark.parametrize(
    ("values", "unit", "expected"),
    [([5], 1, 0.0), ([1, 3], 1, 1.0), ([100, 300, 500, 700], 100, 5**0.5), ([2**42, -(2**42)], 1, float(2**42))],
)
def test_deviations_worked_out_by_hand(values: list[int], unit: int, expected: float) -> None:
    assert spread(values, unit) == expected


def test_nothing_deviates_from_nothing() -> None:
    nothing = np.zeros(1, np.int64)
    assert deviation(nothing, nothing, nothing, nothing, 100).tolist() == [0.0]
