"""Quality of served scores: measured when labels are mature, estimated before, and the gap between the two."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sluice.declare.evidence import Quality
from sluice.errors import DataError
from sluice.monitor.cards import card_precision_by_day
from sluice.monitor.days import date_of
from sluice.monitor.ranking import Numbers, ranking

Kind = Literal["measured", "estimated", "gap"]

_LEAST_DAYS = 5
_CLIP = 1e-15


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Scored rows: the calibrated score, the card it is about, the day number, and the label where it is mature."""

    scores: Numbers
    cards: NDArray[np.generic]
    days: NDArray[np.int64]
    labels: NDArray[np.int64]
    """1 or 0; all zeros where labels are not known, as in an estimate."""

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True, slots=True)
class Measures:
    """Quality in four numbers; None where it is not defined (no rows, or labels of one kind only)."""

    rows: int
    positives: float
    """A count when measured, an expectation when estimated."""
    auc: float | None
    average_precision: float | None
    card_precision_at_100: float | None
    log_loss: float | None


@dataclass(frozen=True, slots=True)
class PerformanceRow:
    """A segment's quality over the days up to `day`, as it is kept in the table `performance`."""

    segment: str
    day: dt.date
    kind: Kind
    """`gap` is the estimate minus the measurement of the same rows: a large one means the concept changed."""
    model: str
    rows: int
    positives: float
    auc: float | None
    average_precision: float | None
    card_precision_at_100: float | None
    log_loss: float | None


def scored(scores: ArrayLike, cards: ArrayLike, days: ArrayLike, labels: ArrayLike | None = None) -> Scored:
    """Rows to measure; DataError for lengths that differ, scores outside 0 to 1 and labels other than 0 and 1."""
    values = np.asarray(scores, dtype=np.float64)
    told = np.zeros(len(values), dtype=np.int64) if labels is None else np.asarray(labels, dtype=np.int64)
    rows = Scored(values, np.asarray(cards), np.asarray(days, dtype=np.int64), told)
    lengths = {len(rows.scores), len(rows.cards), len(rows.days), len(rows.labels)}
    if len(lengths) > 1:
        raise DataError(
            "columns of different lengths", where="scored rows", allowed=f"one length, not {sorted(lengths)}"
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise DataError("a score lies outside its range", where="scored rows", allowed="0 to 1, and no NaN")
    if not np.all((told == 0) | (told == 1)):
        raise DataError(
            "a label is neither 0 nor 1", where="scored rows", allowed="0, 1; leave rows out whose label is unknown"
        )
    return rows


def measure(rows: Scored) -> Measures:
    """What the scores are worth, by their mature labels."""
    ranked, positive = ranking(rows.scores), rows.labels.astype(np.float64)
    cards = card_precision_by_day(rows.scores, rows.labels, rows.cards, rows.days)
    return Measures(
        rows=len(rows),
        positives=int(rows.labels.sum()),
        auc=ranked.auc(positive, 1 - positive),
        average_precision=ranked.average_precision(positive, 1 - positive),
        card_precision_at_100=float(np.mean(list(cards.values()))) if cards else None,
        log_loss=_log_loss(rows.scores, positive),
    )


def estimate(rows: Scored) -> Measures:
    """What the scores should be worth if they are calibrated: each row is positive with the probability of its score.

    Confidence-based estimation in the manner of NannyML's CBPE: it follows a shift of the inputs and is blind to a
    change of the concept, which is why its gap to the measurement tells one from the other. Cards are not estimated.
    """
    ranked, positive = ranking(rows.scores), rows.scores
    return Measures(
        rows=len(rows),
        positives=float(positive.sum()),
        auc=ranked.auc(positive, 1 - positive),
        average_precision=ranked.average_precision(positive, 1 - positive),
        card_precision_at_100=None,
        log_loss=_log_loss(rows.scores, positive),
    )


def quality(rows: Scored, metric: str = "average_precision", *, replays: int = 200, seed: int = 0) -> Quality | None:
    """One measure with its 95 % interval over resampled whole days, and its estimate; None where it is not defined.

    With fewer than five days the interval is 0 to 1: it cannot be told.
    """
    value = getattr(measure(rows), metric)
    if value is None:
        return None
    if metric == "card_precision_at_100":
        low, high = _card_interval(rows, replays, seed)
    else:
        low, high = _interval(rows, rows.labels.astype(np.float64), metric, replays, seed)
    estimated = getattr(estimate(rows), metric)
    return Quality(
        value=value, low=min(low, value), high=max(high, value), positives=int(rows.labels.sum()), estimated=estimated
    )


def outlook(rows: Scored, metric: str = "average_precision", *, replays: int = 200, seed: int = 0) -> Quality | None:
    """The estimate of one measure with its 95 % interval over resampled whole days, as `quality` gives the measure.

    Its positives are those expected. None where there is no estimate, as for cards.
    """
    expected = estimate(rows)
    value = getattr(expected, metric)
    if value is None:
        return None
    low, high = _interval(rows, rows.scores, metric, replays, seed)
    return Quality(value=value, low=min(low, value), high=max(high, value), positives=int(expected.positives))


def performance_rows(segment: str, model: str, rows: Scored) -> tuple[PerformanceRow, ...]:
    """The rows `measured`, `estimated` and `gap` of labelled rows, dated with the last day; none without rows."""
    if not len(rows):
        return ()
    found, expected = measure(rows), estimate(rows)
    kinds: tuple[tuple[Kind, Measures], ...]
    kinds = (("measured", found), ("estimated", expected), ("gap", _gap(expected, found)))
    return tuple(_row(segment, model, rows, kind, measures) for kind, measures in kinds)


def outlook_rows(segment: str, model: str, rows: Scored) -> tuple[PerformanceRow, ...]:
    """The row `estimated` of rows whose labels are not mature; none without rows."""
    return (_row(segment, model, rows, "estimated", estimate(rows)),) if len(rows) else ()


def _row(segment: str, model: str, rows: Scored, kind: Kind, measures: Measures) -> PerformanceRow:
    return PerformanceRow(
        segment=segment,
        day=date_of(int(rows.days.max())),
        kind=kind,
        model=model,
        rows=measures.rows,
        positives=measures.positives,
        auc=measures.auc,
        average_precision=measures.average_precision,
        card_precision_at_100=measures.card_precision_at_100,
        log_loss=measures.log_loss,
    )


def _gap(expected: Measures, found: Measures) -> Measures:
    return Measures(
        rows=found.rows,
        positives=expected.positives - found.positives,
        auc=_minus(expected.auc, found.auc),
        average_precision=_minus(expected.average_precision, found.average_precision),
        card_precision_at_100=None,
        log_loss=_minus(expected.log_loss, found.log_loss),
    )


def _minus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first - second


def _log_loss(scores: Numbers, positive: Numbers) -> float | None:
    if not len(scores):
        return None
    sure = np.clip(scores, _CLIP, 1 - _CLIP)
    return float(-(positive * np.log(sure) + (1 - positive) * np.log1p(-sure)).mean())


def _interval(rows: Scored, positive: Numbers, metric: str, replays: int, seed: int) -> tuple[float, float]:
    """Of a measure by ranking, where each row is positive with this probability."""
    ranked, (which, drawn) = ranking(rows.scores), _replays(rows, replays, seed)
    weighed = getattr(ranked, metric)
    replayed = [weighed(weight * positive, weight * (1 - positive)) for weight in drawn[:, which].astype(np.float64)]
    return _middle([value for value in replayed if value is not None])


def _card_interval(rows: Scored, replays: int, seed: int) -> tuple[float, float]:
    by_day = card_precision_by_day(rows.scores, rows.labels, rows.cards, rows.days)
    _, drawn = _replays(rows, replays, seed)
    precisions = np.array([by_day[int(day)] for day in np.unique(rows.days)])
    return _middle([float(value) for value in drawn @ precisions / max(len(precisions), 1)])


def _replays(rows: Scored, replays: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The day of every row as a number from 0, and how often each day is drawn in each replay; none with few days."""
    days, which = np.unique(rows.days, return_inverse=True)
    if len(days) < _LEAST_DAYS:
        return which, np.empty((0, len(days)), np.int64)
    return which, np.random.default_rng(seed).multinomial(len(days), np.full(len(days), 1 / len(days)), replays)


def _middle(values: list[float]) -> tuple[float, float]:
    return (float(np.quantile(values, 0.025)), float(np.quantile(values, 0.975))) if values else (0.0, 1.0)
