"""Detectors of one column: the tests under a calibrated threshold, and the clock that looks at nothing."""

from __future__ import annotations

from typing import Self

import numpy as np

from sluice.errors import DataError, UserError
from sluice.monitor.drift.calibration import MIN_ROWS, Calibration, replayed_rows, replays_of, threshold
from sluice.monitor.drift.columns import Codes, Column, Numbers
from sluice.monitor.drift.parts import Part, parts_of
from sluice.monitor.drift.protocol import Drift, Reading, TwoSample

_TINY = 1e-12
_NOTHING = Reading(distance=0.0, statistic=0.0, p_value=1.0)


class CalibratedColumn:
    """Compares a column part by part with its reference and reports the part that is furthest past its threshold."""

    def __init__(self, two_sample: TwoSample, calibration: Calibration) -> None:
        self._two_sample = two_sample
        self._calibration = calibration
        self._reference: Column | None = None
        self._parts: tuple[Part, ...] = ()
        self._before: dict[str, Numbers | Codes] = {}
        self._thresholds: dict[tuple[str, int, int], float] = {}

    def fit(self, reference: Column) -> Self:
        """Keep the reference in the order of its days; DataError when it has too few days to calibrate on."""
        order = np.argsort(reference.days, kind="stable")
        self._reference = Column(reference.name, reference.values[order], reference.days[order])
        self._calibration.check_reference(self._rows_per_day())
        self._parts = parts_of(self._reference)
        self._before = {part.name: _sorted(part.of(self._reference)) for part in self._parts}
        self._thresholds = {}
        return self

    def score(self, batch: Column) -> Drift:
        """Compare a batch with the reference; a batch of fewer than 20 rows says nothing."""
        reference = self._fitted(batch)
        drifts = [self._part(part, reference, batch) for part in self._parts]
        return max(drifts, key=lambda drift: drift.distance / max(drift.threshold, _TINY))

    def _part(self, part: Part, reference: Column, batch: Column) -> Drift:
        before, now = self._before[part.name], part.of(batch)
        reading = self._compare(part, before, now)
        return Drift(
            distance=reading.distance,
            threshold=self._threshold(part, reference, batch),
            p_value=reading.p_value,
            features=(batch.name,),
            detector=f"{self._two_sample.name}.{part.test}:{part.told(before, now)}",
            rows=len(batch),
        )

    def _compare(self, part: Part, before: Numbers | Codes, now: Numbers | Codes) -> Reading:
        if min(len(before), len(now)) < MIN_ROWS:
            return _NOTHING
        match part.test:
            case "ks":
                return self._two_sample.ks(before.astype(np.float64), now.astype(np.float64))
            case "chi2":
                return self._two_sample.chi2(before.astype(np.int64), now.astype(np.int64))
            case "fet":
                return self._two_sample.fet(before.astype(np.int64), now.astype(np.int64))

    def _threshold(self, part: Part, reference: Column, batch: Column) -> float:
        key = (part.name, replayed_rows(len(batch)), batch.span)
        if key not in self._thresholds:
            calibration, (_, rows, span) = self._calibration, key
            replays = replays_of(self._rows_per_day(), rows, span, calibration)
            codes, size = part.binned(reference)
            distances = replays.distances(codes, size, ordered=part.test == "ks")
            found = threshold(distances, calibration.level / self._varying(), calibration.k, calibration.floor)
            self._thresholds[key] = found
        return self._thresholds[key]

    def _varying(self) -> int:
        """Among how many parts the level is shared: one that is constant in the reference has no false alarms."""
        varying = [part for part, before in self._before.items() if len(before) and before[0] != before[-1]]
        return max(1, len(varying))

    def _rows_per_day(self) -> tuple[int, ...]:
        days: Codes = np.empty(0, np.int64) if self._reference is None else self._reference.days
        return tuple(np.unique(days, return_counts=True)[1].tolist())

    def _fitted(self, batch: Column) -> Column:
        if self._reference is None:
            raise UserError(
                "the detector has no reference yet", where=f"column {batch.name}", next_step="call fit first"
            )
        if (batch.name, batch.kind) != (self._reference.name, self._reference.kind):
            raise DataError(
                f"{batch.name} ({batch.kind}) was given to the detector of another column",
                where="drift check",
                allowed=f"{self._reference.name} ({self._reference.kind})",
            )
        return self._reference


def _sorted(values: Numbers | Codes) -> Numbers | Codes:
    in_order: Numbers | Codes = values[np.argsort(values)]
    return in_order


class ClockOnly:
    """The baseline every detector must beat: alarms every `every` days and never looks at a value."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._last: int | None = None

    def fit(self, reference: Column) -> Self:
        """Remember the reference's last day."""
        if not len(reference):
            raise DataError("the reference is empty", where=f"column {reference.name}", allowed="at least one row")
        self._last = int(reference.days.max())
        return self

    def score(self, batch: Column) -> Drift:
        """Alarm when a multiple of `every` days since the reference lies in the batch's days."""
        if self._last is None:
            raise UserError(
                "the detector has no reference yet", where=f"column {batch.name}", next_step="call fit first"
            )
        since = np.unique(batch.days) - self._last
        due = bool(np.any((since > 0) & (since % self._every == 0)))
        return Drift(float(due), 0.5, 1.0, (batch.name,), f"clock.every:{self._every}d", len(batch))
