"""Percentiles of latencies, as the report states them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def percentiles(latencies: ArrayLike) -> dict[str, float | None]:
    """`p50_ms` and `p99_ms` of latencies in microseconds; None when there are none.

    By nearest rank: the least latency that at least 50 (99) in a hundred do not exceed, so one that was measured.
    """
    values = np.asarray(latencies, dtype=np.int64)
    return {f"p{rank}_ms": nearest_rank(values, rank) for rank in (50, 99)}


def nearest_rank(microseconds: np.ndarray, rank: int) -> float | None:
    """One percentile in milliseconds, to the microsecond."""
    if not len(microseconds):
        return None
    return int(np.percentile(microseconds, rank, method="inverted_cdf")) / 1000
