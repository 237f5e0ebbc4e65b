"""One check of a segment: every watched column against its reference, with persistence over checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sluice.declare.retraining import DriftRule
from sluice.errors import DataError
from sluice.monitor.days import date_of
from sluice.monitor.drift.calibration import Calibration
from sluice.monitor.drift.choice import DEFAULT, detector
from sluice.monitor.drift.columns import Column
from sluice.monitor.drift.protocol import Detector, Drift


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One column at one check, as it is kept in the table `drift`."""

    segment: str
    day: dt.date
    """The last day of the batch."""
    kind: str
    """`feature` or `score`."""
    column: str
    detector: str
    distance: float
    threshold: float
    p_value: float
    alarm: bool
    """Past the threshold now, and in k of the last n checks."""
    rows: int
    reference: str
    """What the batch was compared with, such as a training set's id: rows of different references never add up."""

    @property
    def exceeded(self) -> bool:
        """Whether this check alone is past the threshold."""
        return self.distance > self.threshold


@dataclass(frozen=True, slots=True)
class Watch:
    """The fitted detectors of one segment."""

    segment: str
    reference: str
    detectors: Mapping[tuple[str, str], Detector]
    """By (kind, column)."""
    persistence: tuple[int, int]

    def check(
        self, features: Iterable[Column], scores: Iterable[Column] = (), history: Sequence[DriftRow] = ()
    ) -> tuple[DriftRow, ...]:
        """A row per watched column; `history` holds the rows of earlier checks, which persistence counts.

        Columns that are not watched are passed over; DataError when a watched one is absent. No rows, no answer.
        """
        given = {(kind, item.name): item for kind, item in _kinds(features, scores)}
        absent = [name for kind, name in self.detectors if (kind, name) not in given]
        if absent:
            raise DataError(f"no column {', '.join(absent)}", where=f"drift check of {self.segment}")
        if not any(len(item) for item in given.values()):
            return ()
        drifts = [(kind, item.score(given[kind, name])) for (kind, name), item in self.detectors.items()]
        day = date_of(max(int(given[key].days.max()) for key in self.detectors))
        return tuple(self._row(day, kind, drift, history) for kind, drift in drifts)

    def _row(self, day: dt.date, kind: str, drift: Drift, history: Sequence[DriftRow]) -> DriftRow:
        earlier = [row for row in history if self._continues(row, day, kind, drift)]
        k, n = self.persistence
        recent = sorted(earlier, key=lambda row: row.day)[-(n - 1) :] if n > 1 else []
        alarm = drift.alarm and 1 + sum(row.exceeded for row in recent) >= k
        return DriftRow(
            segment=self.segment,
            day=day,
            kind=kind,
            column=drift.features[0],
            detector=drift.detector,
            distance=drift.distance,
            threshold=drift.threshold,
            p_value=drift.p_value,
            alarm=alarm,
            rows=drift.rows,
            reference=self.reference,
        )

    def _continues(self, row: DriftRow, day: dt.date, kind: str, drift: Drift) -> bool:
        same = (row.segment, row.reference, row.kind, row.column)
        return same == (self.segment, self.reference, kind, drift.features[0]) and row.day < day


def watch(
    segment: str,
    features: Sequence[Column],
    scores: Sequence[Column] = (),
    *,
    rule: DriftRule,
    reference: str,
    engine: str = DEFAULT,
) -> Watch:
    """Fit a detector to every column of a segment's reference; the false-alarm budget is shared among them."""
    watched = [(kind, item) for kind, item in _kinds(features, scores) if item.name not in rule.ignore]
    k, n = rule.persistence
    calibration = Calibration(rule.run_length, max(1, len(watched)), rule.floor, k, n)
    fitted = {(kind, item.name): detector(engine, calibration).fit(item) for kind, item in watched}
    return Watch(segment, reference, fitted, rule.persistence)


def _kinds(features: Iterable[Column], scores: Iterable[Column]) -> list[tuple[str, Column]]:
    return [*(("feature", item) for item in features), *(("score", item) for item in scores)]
