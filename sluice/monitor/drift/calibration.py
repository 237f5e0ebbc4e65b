"""Thresholds from a stated false-alarm run length, by replaying whole days of the reference.

One replay is what a live run sees when nothing has changed: n checks one after another, each of as many days and rows
as the batch, against a reference made of other days, drawn with replacement and a guard of days away on both sides.
An alarm needs the last distance and k of the n past the threshold, so the lesser of the last and the k-th largest is
what alarms, and its distribution over the replays gives the threshold. Where the level is beyond the replays, the tail
is continued as an exponential in the squared distance, as Kolmogorov-Smirnov and chi-square tails are. Whole days keep
customers' habits together; the guard keeps slow windows, such as counts over 30 days, from being compared with their
own neighbours.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.errors import DataError
from sluice.monitor.drift.columns import Codes, Numbers

MIN_ROWS = 20
"""A part with fewer rows is not compared: it says nothing."""
MOST_ROWS = 4_096
"""Larger batches are replayed at this size: their sampling noise is small, and fewer rows only widen a threshold."""

_GUARD_DAYS = 30
_LEAST_DAYS = 14
_TAIL = 0.25


@dataclass(frozen=True, slots=True)
class Calibration:
    """How rarely a detector may cry wolf: once in `run_length` checks of `columns` columns together (ARL0)."""

    run_length: int = 10_000
    columns: int = 1
    floor: float = 0.1
    k: int = 2
    n: int = 3
    replays: int = 300
    seed: int = 0

    @property
    def level(self) -> float:
        """The probability that one column alarms at one check when nothing has changed."""
        return 1 / (self.run_length * self.columns)

    def check_reference(self, rows_per_day: tuple[int, ...]) -> None:
        """DataError when the reference has too few days to replay."""
        least = max(_LEAST_DAYS, 2 * self.n)
        if len(rows_per_day) < least:
            raise DataError(
                f"the reference has {len(rows_per_day)} days",
                where="drift calibration",
                allowed=f"{least} days or more",
                next_step="take a longer reference; features over long windows need them mature",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Replays:
    """Which days make each replay's reference, and which rows make each of its n batches."""

    days: Codes
    """Per row of the reference, the position of its day."""
    weights: Numbers
    """(replays, days): how often a day was drawn."""
    rows: NDArray[np.int32]
    """(replays, n, rows): row numbers of the batches."""

    def distances(self, codes: Codes, size: int, *, ordered: bool) -> Numbers:
        """(replays, n) distances of one part, `codes` in 0…size-1 per row and -1 outside the part."""
        references = self.weights @ _histograms(self.days, codes, self.weights.shape[1], size)
        cells = np.where(codes < 0, size, codes)[self.rows]
        replays, n, _ = self.rows.shape
        which = np.arange(replays * n).reshape(replays, n, 1)
        batches = np.bincount((which * (size + 1) + cells).ravel(), minlength=replays * n * (size + 1))
        batches = batches.reshape(replays, n, size + 1)[:, :, :size]
        return _distances(references[:, None, :], batches, ordered=ordered)


@functools.lru_cache(maxsize=8)
def replays_of(rows_per_day: tuple[int, ...], rows: int, span: int, calibration: Calibration) -> Replays:
    """The replays for batches of `rows` rows over `span` days; the same arguments give the same draws."""
    draw = np.random.default_rng([calibration.seed, rows, span])
    days = len(rows_per_day)
    # A short reference replays shorter batches, which vary more: the threshold is wider, never narrower.
    span = max(1, min(span, days // (2 * calibration.n)))
    guard = min(_GUARD_DAYS, (days - calibration.n * span) // 3)
    starts = draw.integers(0, days, calibration.replays)
    weights = np.stack([_reference_days(draw, days, start, calibration.n * span, guard) for start in starts])
    picked = [
        [_batch_rows(draw, rows_per_day, start + i * span, span, rows) for i in range(calibration.n)]
        for start in starts
    ]
    return Replays(np.repeat(np.arange(days), rows_per_day), weights, np.array(picked, dtype=np.int32))


def replayed_rows(rows: int) -> int:
    """The size at which a batch is replayed: 20, 28, 40, 56, 80 …, the next lower one, so that there are few sizes."""
    steps = math.floor(2 * math.log2(min(max(rows, MIN_ROWS), MOST_ROWS) / MIN_ROWS) + 1e-9)
    return int(MIN_ROWS * 2 ** (steps / 2))


def threshold(distances: Numbers, level: float, k: int, floor: float) -> float:
    """The distance that the last check and k of the n exceed with probability `level`, between `floor` and 1."""
    alarming = np.minimum(distances[:, -1], np.sort(distances, axis=1)[:, -k])
    return float(min(1.0, max(floor, math.sqrt(_tail_quantile(alarming**2, level)))))


def _tail_quantile(squares: Numbers, level: float) -> float:
    """The upper quantile, continued beyond the top quarter as an exponential with that quarter's mean excess."""
    if level >= _TAIL:
        return float(np.quantile(squares, 1 - level))
    start = float(np.quantile(squares, 1 - _TAIL))
    beyond = squares[squares > start] - start
    if not len(beyond):
        return start
    return start + float(beyond.mean()) * max(0.0, math.log(len(beyond) / len(squares) / level))


def _reference_days(draw: np.random.Generator, days: int, start: int, chain: int, guard: int) -> Numbers:
    """How often each day is drawn for a reference that keeps `guard` days (in a circle) from the chain of batches."""
    after = (np.arange(days) - start) % days
    free = np.flatnonzero((after >= chain + guard) & (after < days - guard))
    return np.bincount(draw.choice(free, len(free)), minlength=days).astype(np.float64)


def _batch_rows(draw: np.random.Generator, rows_per_day: tuple[int, ...], first: int, span: int, rows: int) -> Codes:
    """Row numbers of a batch drawn from `span` days that begin at day `first` of the circle."""
    starts = np.concatenate([[0], np.cumsum(rows_per_day)])
    begin = int(starts[first % len(rows_per_day)])
    available = sum(rows_per_day[(first + day) % len(rows_per_day)] for day in range(span))
    chosen = draw.choice(available, rows, replace=available < rows)
    return (begin + chosen) % int(starts[-1])


def _histograms(days: Codes, codes: Codes, n_days: int, size: int) -> NDArray[np.float64]:
    inside = codes >= 0
    flat = np.bincount(days[inside] * size + codes[inside], minlength=n_days * size)
    return flat.reshape(n_days, size).astype(np.float64)


def _distances(references: Numbers, batches: NDArray[np.int64], *, ordered: bool) -> Numbers:
    """Differences of distributions along the last axis; 0 where either side is empty.

    Replayed parts of fewer rows than a live check would compare count as well: they only widen a threshold.
    """
    first, second = references.sum(axis=-1), batches.sum(axis=-1)
    both = (first > 0) & (second > 0)
    apart = references / np.maximum(first, 1)[..., None] - batches / np.maximum(second, 1)[..., None]
    found = np.abs(apart.cumsum(axis=-1)).max(axis=-1) if ordered else np.abs(apart).sum(axis=-1) / 2
    return np.where(both, found, 0.0)
