from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.engine.finalise import divided, finalise, places, quotient
from sluice.errors import DataError
from tests.sluice.engine.pipelines import shop

pytestmark = pytest.mark.unit

SHOP = shop()
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
    values, valid = finalise(places(view), number, total)
    assert values.tolist() == [[3.0, 5.005, 2.5], [0.0, 0.0, 0.0]]
    assert valid.tolist() == [[True, True, True], [True, False, False]]


def test_fill_stands_for_an_empty_window() -> None:
    view = SHOP.view("customer")
    index = [feature.name for feature in view.functions].index("mean_amount_3min")
    values, valid = finalise(places(view).only(index), np.array([[0]]), np.array([[0]]))
    assert (values.tolist(), valid.tolist()) == ([[-1.0]], [[True]])


def test_more_values_than_an_exact_sum_can_hold_are_refused_by_name() -> None:
    view = SHOP.view("customer")
    index = [feature.name for feature in view.functions].index("sum_items_3min")
    fits = np.array([[1024]])
    finalise(places(view).only(index), fits, fits)
    with pytest.raises(DataError) as refused:
        finalise(places(view).only(index), fits + 1, fits)
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
