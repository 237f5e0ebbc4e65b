"""Measures of a ranking under weights: sorted once, then any number of weightings of the same rows.

Weights make one function serve three uses: plain quality (weight 1), resampled days (how often a row's day was drawn)
and quality expected of calibrated scores (each row counts as positive with its score, as negative with the rest).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Rows by falling score; tied rows form one group, as no order among them means anything."""

    order: NDArray[np.int64]
    ends: NDArray[np.int64]
    """The last row of every group, in `order`."""

    def auc(self, positive: Numbers, negative: Numbers) -> float | None:
        """Area under the ROC curve, of one weight as positive and one as negative per row; None if either is absent."""
        hits, misses = self._grouped(positive), self._grouped(negative)
        total = float(hits.sum()) * float(misses.sum())
        above = np.cumsum(hits) - hits / 2
        return float((misses * above).sum()) / total if total > 0 else None

    def average_precision(self, positive: Numbers, negative: Numbers) -> float | None:
        """Precision averaged over recall, step by step as scikit-learn does; None without positives."""
        hits, misses = self._grouped(positive), self._grouped(negative)
        found, seen = np.cumsum(hits), np.cumsum(hits + misses)
        total = float(hits.sum())
        precision = np.divide(found, seen, out=np.zeros_like(found), where=seen > 0)
        return float((hits * precision).sum()) / total if total > 0 else None

    def _grouped(self, weights: Numbers) -> Numbers:
        return np.diff(np.concatenate([[0.0], np.cumsum(weights[self.order])[self.ends]]))


def ranking(scores: Numbers) -> Ranking:
    """Sort rows by falling score."""
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.append(falling[1:] != falling[:-1], True)
    return Ranking(order, np.flatnonzero(last[: len(scores)]))
