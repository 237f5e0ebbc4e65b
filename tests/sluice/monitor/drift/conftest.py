from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import pytest

from sluice.monitor.drift.calibration import Calibration
from sluice.monitor.drift.columns import MISSING, Column, Numbers
from sluice.monitor.drift.detector import CalibratedColumn
from sluice.monitor.drift.protocol import Reading
from sluice.monitor.drift.twin import TwinTwoSample, ks_distance

Shape = Literal["plain", "zeros", "missing", "codes"]
Draw = Callable[..., Column]


class WithoutChances(TwinTwoSample):
    """The twin but for the p-value of distances, which no alarm looks at and which takes most of the time."""

    def ks(self, reference: Numbers, batch: Numbers) -> Reading:
        distance = ks_distance(np.sort(reference), np.sort(batch))
        return Reading(distance, distance, p_value=np.nan)


def alarming(calibration: Calibration) -> CalibratedColumn:
    """The twin, to be asked for alarms only."""
    return CalibratedColumn(WithoutChances(), calibration)


@pytest.fixture
def draw() -> Draw:
    """A seeded column of one shape: `draw("plain", days, rows_per_day, seed=…, shift=…, first=…)`."""

    def drawn(
        shape: Shape, days: int, rows: int, *, seed: int = 0, shift: float = 0.0, first: int = 100, sway: float = 0.0
    ) -> Column:
        random = np.random.default_rng(seed)
        on = np.repeat(np.arange(first, first + days), rows)
        swayed = np.repeat(random.normal(0, sway, days), rows)
        values = random.normal(shift, 1, days * rows) + swayed
        if shape == "zeros":
            values = np.where(random.random(len(values)) < 0.6 - shift / 4, 0.0, np.abs(values))
        if shape == "missing":
            values[random.random(len(values)) < 0.1 + shift / 4] = np.nan
        if shape == "codes":
            codes = np.clip(np.floor(values * 2), -4, 4).astype(np.int64)
            return Column("amount", np.where(codes == 4, MISSING, codes), on)
        return Column("amount", values, on)

    return drawn
