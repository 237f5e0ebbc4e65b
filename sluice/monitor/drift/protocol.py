"""The two ports of drift detection: the statistical tests, and the detectors that decide with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np

from sluice.monitor.drift.columns import Codes, Column, Numbers

TestName = Literal["ks", "chi2", "fet"]


@dataclass(frozen=True, slots=True)
class Reading:
    """What one two-sample test says."""

    distance: float
    """A difference between two probabilities, 0 to 1, in every test, whatever the size of the samples."""
    statistic: float
    """The test's own statistic: Kolmogorov-Smirnov D, chi-square, odds ratio."""
    p_value: float


@dataclass(frozen=True, slots=True)
class Drift:
    """What a detector says of one batch."""

    distance: float
    threshold: float
    p_value: float
    """The textbook one, as if all rows were independent: shown, and never used to alarm."""
    features: tuple[str, ...]
    detector: str
    """Which tests on which part of the column, such as `alibi.ks:values`."""
    rows: int

    @property
    def alarm(self) -> bool:
        """Whether this check alone is past its threshold; persistence over checks is `sluice.monitor.drift.checks`."""
        return self.distance > self.threshold


class TwoSample(Protocol):
    """Three two-sample tests; an adapter is a set of them under one name.

    Both samples have 20 rows or more. Order of rows never matters, and nothing is remembered between calls.
    """

    name: str

    def ks(self, reference: Numbers, batch: Numbers) -> Reading:
        """Kolmogorov-Smirnov on numbers, two-sided, asymptotic p-value; the distance is D."""
        ...

    def chi2(self, reference: Codes, batch: Codes) -> Reading:
        """Chi-square on category codes; the distance is the total variation between the two distributions."""
        ...

    def fet(self, reference: Codes, batch: Codes) -> Reading:
        """Fisher's exact test on 0/1 flags, two-sided; the distance is the difference of the two shares."""
        ...


class Detector(Protocol):
    """Watches one column: fitted once to its reference, it scores any number of batches.

    `score` changes nothing in the detector, so the same batch always gets the same answer.
    """

    def fit(self, reference: Column) -> Self:
        """Learn the reference and return itself; DataError when it has too few rows or days."""
        ...

    def score(self, batch: Column) -> Drift:
        """Compare a batch of the same column with the reference."""
        ...


def total_variation(reference: Codes, batch: Codes) -> float:
    """Half the summed difference of two distributions over codes: the most by which the odds of any event differ."""
    codes, where = np.unique(np.concatenate([reference, batch]), return_inverse=True)
    first = np.bincount(where[: len(reference)], minlength=len(codes)) / len(reference)
    second = np.bincount(where[len(reference) :], minlength=len(codes)) / len(batch)
    return float(np.abs(first - second).sum() / 2)
