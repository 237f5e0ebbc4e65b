from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.report.percentiles import nearest_rank, percentiles

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("microseconds", "p50", "p99"),
    [
        ([7_001], 7.001, 7.001),
        ([1_000, 2_000], 1.0, 2.0),
        ([3_000, 1_000, 2_000], 2.0, 3.0),
        (list(range(1_000, 101_000, 1_000)), 50.0, 99.0),
        ([*[1_000] * 98, 5_000, 9_000], 1.0, 5.0),
    ],
)
def test_percentiles_are_nearest_ranks(microseconds: list[int], p50: float, p99: float) -> None:
    assert percentiles(microseconds) == {"p50_ms": p50, "p99_ms": p99}


def test_nothing_timed_has_no_percentile() -> None:
    assert percentiles([]) == {"p50_ms": None, "p99_ms": None}


@given(st.lists(st.integers(0, 10**9), min_size=1), st.sampled_from([50, 99]))
def test_a_percentile_is_the_least_latency_that_enough_do_not_exceed(values: list[int], rank: int) -> None:
    found = nearest_rank(np.array(values), rank)
    reached = [value for value in values if 100 * sum(other <= value for other in values) >= rank * len(values)]
    assert found == min(reached) / 1000
