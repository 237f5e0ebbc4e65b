"""The tests on numpy and scipy alone: free of licence terms, and held to alibi-detect's answers by parity tests."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import stats

from sluice.monitor.drift.columns import Codes, Numbers
from sluice.monitor.drift.protocol import Reading, total_variation


class TwinTwoSample:
    """Kolmogorov-Smirnov, chi-square and Fisher's exact test."""

    name = "twin"

    def ks(self, reference: Numbers, batch: Numbers) -> Reading:
        """Two-sided, with the asymptotic p-value of an effective size n·m / (n + m)."""
        distance = ks_distance(np.sort(reference, kind="stable"), np.sort(batch))
        size = len(reference) * len(batch) / (len(reference) + len(batch))
        p_value = float(np.clip(stats.kstwo.sf(distance, np.round(size)), 0, 1))
        return Reading(distance, distance, p_value)

    def chi2(self, reference: Codes, batch: Codes) -> Reading:
        """With Yates's correction for two categories."""
        codes, where = np.unique(np.concatenate([reference, batch]), return_inverse=True)
        first = np.bincount(where[: len(reference)], minlength=len(codes))
        second = np.bincount(where[len(reference) :], minlength=len(codes))
        found = stats.chi2_contingency(np.vstack([first, second]))
        return Reading(total_variation(reference, batch), float(found.statistic), float(found.pvalue))

    def fet(self, reference: Codes, batch: Codes) -> Reading:
        """Two-sided; the statistic is the odds ratio of the batch to the reference."""
        ones = np.array([batch.sum(), reference.sum()])
        zeros = np.array([len(batch), len(reference)]) - ones
        odds, p_value = stats.fisher_exact(np.vstack([ones, zeros]), alternative="two-sided")
        return Reading(total_variation(reference, batch), float(odds), float(p_value))


def ks_distance(reference: Numbers, batch: Numbers) -> float:
    """The greatest difference between the two empirical distribution functions; both samples sorted.

    Between two points of the batch its own function is flat, so the greatest difference lies at or just before one.
    """
    sides: tuple[Literal["left"], Literal["right"]] = ("left", "right")
    gaps = [
        np.searchsorted(reference, batch, side) / len(reference) - np.searchsorted(batch, batch, side) / len(batch)
        for side in sides
    ]
    return float(np.abs(gaps).max())
