"""The tests as alibi-detect runs them; the only module that imports it: TensorFlow comes with it."""

from __future__ import annotations

from typing import Any

from alibi_detect.cd import ChiSquareDrift, FETDrift, KSDrift

from sluice.monitor.drift.columns import Codes, Numbers
from sluice.monitor.drift.protocol import Reading, total_variation


class AlibiTwoSample:
    """KSDrift, ChiSquareDrift and FETDrift; the first two round their answers to float32."""

    name = "alibi"

    def ks(self, reference: Numbers, batch: Numbers) -> Reading:
        """Two-sided, with the asymptotic p-value."""
        p_value, statistic = _answer(KSDrift(reference.reshape(-1, 1)), batch)
        return Reading(statistic, statistic, p_value)

    def chi2(self, reference: Codes, batch: Codes) -> Reading:
        """Over the categories seen in either sample."""
        p_value, statistic = _answer(ChiSquareDrift(reference.reshape(-1, 1)), batch)
        return Reading(total_variation(reference, batch), statistic, p_value)

    def fet(self, reference: Codes, batch: Codes) -> Reading:
        """Two-sided; the statistic is the odds ratio of the batch to the reference."""
        p_value, statistic = _answer(FETDrift(reference.reshape(-1, 1), alternative="two-sided"), batch)
        return Reading(total_variation(reference, batch), statistic, p_value)


def _answer(detector: Any, batch: Numbers | Codes) -> tuple[float, float]:
    p_values, statistics = detector.score(batch.reshape(-1, 1))
    return float(p_values[0]), float(statistics[0])
