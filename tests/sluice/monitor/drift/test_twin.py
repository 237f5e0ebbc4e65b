from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sluice.monitor.drift.twin import TwinTwoSample, ks_distance

pytestmark = pytest.mark.unit

TWIN = TwinTwoSample()
few = st.lists(st.integers(-5, 5).map(float), min_size=20, max_size=60).map(np.array)


@given(few, few)
def test_the_ks_distance_is_scipys_on_samples_full_of_ties(reference: np.ndarray, batch: np.ndarray) -> None:
    expected = stats.ks_2samp(reference, batch, method="asymp").statistic
    assert ks_distance(np.sort(reference), np.sort(batch)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("rows", "shift"), [(50, 0.0), (400, 0.1), (3_000, 0.02), (700, 3.0)])
def test_the_ks_p_value_is_scipys(rows: int, shift: float) -> None:
    random = np.random.default_rng(rows)
    reference, batch = random.normal(size=2_000), random.normal(shift, 1, rows)
    expected = stats.ks_2samp(reference, batch, method="asymp")
    found = TWIN.ks(reference, batch)
    assert found.distance == expected.statistic
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-300)


def test_chi_square_is_the_textbooks() -> None:
    # 30/20/10 against 10/20/30: each expected count is 20, so chi-square is 4 * 100 / 20 = 20 on 2 degrees of freedom.
    reference, batch = np.repeat([0, 1, 2], [30, 20, 10]), np.repeat([0, 1, 2], [10, 20, 30])
    found = TWIN.chi2(reference, batch)
    assert found.statistic == pytest.approx(20.0)
    assert found.p_value == pytest.approx(np.exp(-10))
    assert found.distance == pytest.approx(1 / 3)


def test_one_category_alone_is_no_difference() -> None:
    found = TWIN.chi2(np.zeros(30, np.int64), np.zeros(40, np.int64))
    assert (found.distance, found.statistic, found.p_value) == (0.0, 0.0, 1.0)


def test_fishers_exact_test_is_the_lady_tasting_tea() -> None:
    # Fisher 1935: 3 of 4 right; the two-sided p-value is 34/70.
    found = TWIN.fet(np.array([0, 0, 0, 1]), np.array([1, 1, 1, 0]))
    assert found.p_value == pytest.approx(34 / 70)
    assert found.statistic == pytest.approx(9.0)
    assert found.distance == pytest.approx(0.5)


@given(few, few, few)
def test_distances_are_differences_of_probability(first: np.ndarray, second: np.ndarray, third: np.ndarray) -> None:
    codes = [item.astype(np.int64) for item in (first, second, third)]
    assert TWIN.ks(first, first).distance == 0
    assert TWIN.chi2(codes[0], codes[0]).distance == 0
    for measured in (TWIN.ks(first, second), TWIN.chi2(codes[0], codes[1])):
        assert 0 <= measured.distance <= 1
        assert 0 <= measured.p_value <= 1
    there = TWIN.chi2(codes[0], codes[1]).distance + TWIN.chi2(codes[1], codes[2]).distance
    assert TWIN.chi2(codes[0], codes[2]).distance <= there + 1e-12
