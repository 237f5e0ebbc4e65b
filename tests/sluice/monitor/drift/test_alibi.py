"""The twins answer as alibi-detect does: to the last bit that it keeps (KS and chi-square it rounds to float32)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from sluice.monitor.drift.columns import Codes, Numbers
from sluice.monitor.drift.protocol import Reading
from sluice.monitor.drift.twin import TwinTwoSample

if TYPE_CHECKING:
    from sluice.monitor.drift.alibi import AlibiTwoSample

pytestmark = pytest.mark.integration

TWIN = TwinTwoSample()
CASES = [(2_000, 500, 0.0), (2_000, 500, 0.05), (900, 4_000, 0.3), (60, 20, 1.0), (3_000, 3_000, 4.0)]


@pytest.fixture(scope="module")
def alibi() -> AlibiTwoSample:
    from sluice.monitor.drift.alibi import AlibiTwoSample

    return AlibiTwoSample()


def numbers(before: int, now: int, shift: float) -> tuple[Numbers, Numbers]:
    random = np.random.default_rng([before, now])
    return random.lognormal(3, 1, before).round(2), random.lognormal(3 + shift, 1, now).round(2)


def codes(before: int, now: int, shift: float, most: int) -> tuple[Codes, Codes]:
    first, second = numbers(before, now, shift)
    return np.minimum(first // 10, most).astype(np.int64), np.minimum(second // 10, most).astype(np.int64)


def as_float32(reading: Reading) -> tuple[float, np.float32, np.float32]:
    distance = float(np.float32(reading.distance))
    return distance, np.float32(reading.statistic), np.float32(reading.p_value)


@pytest.mark.parametrize(("before", "now", "shift"), CASES)
def test_kolmogorov_smirnov_is_the_same(alibi: AlibiTwoSample, before: int, now: int, shift: float) -> None:
    reference, batch = numbers(before, now, shift)
    assert as_float32(TWIN.ks(reference, batch)) == as_float32(alibi.ks(reference, batch))


@pytest.mark.parametrize("most", [1, 6])
@pytest.mark.parametrize(("before", "now", "shift"), CASES)
def test_chi_square_is_the_same(alibi: AlibiTwoSample, before: int, now: int, shift: float, most: int) -> None:
    reference, batch = codes(before, now, shift, most)
    assert as_float32(TWIN.chi2(reference, batch)) == as_float32(alibi.chi2(reference, batch))


@pytest.mark.parametrize(("before", "now", "shift"), CASES)
def test_fishers_exact_test_is_the_same_to_the_last_bit(
    alibi: AlibiTwoSample, before: int, now: int, shift: float
) -> None:
    reference, batch = codes(before, now, shift, 1)
    assert TWIN.fet(reference, batch) == alibi.fet(reference, batch)


def test_the_mixed_detector_agrees_with_one_test_per_column() -> None:
    from alibi_detect.cd import TabularDrift

    amounts, channels = numbers(2_000, 500, 0.1), codes(2_000, 500, 0.1, 4)
    reference, batch = (np.column_stack([amount, code]) for amount, code in zip(amounts, channels, strict=True))
    p_values, statistics = TabularDrift(reference, categories_per_feature={1: None}).score(batch)
    readings = [TWIN.ks(*amounts), TWIN.chi2(*channels)]
    assert [np.float32(item.p_value) for item in readings] == list(p_values)
    assert [np.float32(item.statistic) for item in readings] == list(statistics)
