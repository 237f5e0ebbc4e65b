from __future__ import annotations

import numpy as np
import pytest

from sluice.errors import DataError, UserError
from sluice.monitor.drift.calibration import Calibration
from sluice.monitor.drift.choice import detector
from sluice.monitor.drift.columns import Column
from sluice.monitor.drift.detector import ClockOnly

from .conftest import Draw, alarming

pytestmark = pytest.mark.unit

RULE = Calibration(run_length=1_000, columns=16, k=1, n=1)


def firing_days(draw: Draw, shape: str, shift: float, starts: int, days: int = 40) -> list[int]:
    fitted = alarming(RULE).fit(draw(shape, 60, 150))
    batches = [
        draw(shape, 1, 150, seed=500 + day, shift=shift if day >= starts else 0.0, first=200 + day)
        for day in range(days)
    ]
    return [day for day, batch in enumerate(batches) if fitted.score(batch).alarm]


@pytest.mark.parametrize("shape", ["plain", "zeros", "missing", "codes"])
def test_a_shift_from_day_twelve_on_fires_from_day_twelve_on(draw: Draw, shape: str) -> None:
    assert firing_days(draw, shape, 1.2, starts=12) == list(range(12, 40))


def test_a_small_shift_fires_on_exactly_these_days(draw: Draw) -> None:
    assert firing_days(draw, "plain", 0.5, starts=12) == [14, 17, 24, 25, 31, 35, 36, 37, 38]


@pytest.mark.parametrize("shape", ["plain", "zeros", "missing", "codes"])
def test_a_stream_without_a_shift_never_fires(draw: Draw, shape: str) -> None:
    assert firing_days(draw, shape, 0.0, starts=0, days=60) == []


def test_the_part_that_moved_is_named(draw: Draw) -> None:
    reference = draw("zeros", 60, 150)
    fitted = detector("twin", RULE).fit(reference)
    batch = draw("zeros", 1, 150, seed=9)
    zeroed = Column("amount", np.where(np.arange(150) < 140, 0.0, batch.values), batch.days)
    emptied = Column("amount", np.where(np.arange(150) < 100, np.nan, batch.values), batch.days)
    grown = Column("amount", batch.values * 3, batch.days)
    named = [fitted.score(item).detector for item in (zeroed, emptied, grown)]
    assert named == ["twin.fet:zero", "twin.fet:null", "twin.ks:values"]


def test_values_that_turn_up_have_another_name_than_values_that_go_missing() -> None:
    days = np.repeat(np.arange(60), 150)
    reference = Column("since_last", np.where(np.arange(9_000) % 2, np.nan, 5.0), days)
    fitted = detector("twin", RULE).fit(reference)
    batch = [
        Column("since_last", np.where(np.arange(150) < missing, np.nan, 5.0), np.full(150, 70)) for missing in (10, 140)
    ]
    assert [fitted.score(item).detector for item in batch] == ["twin.fet:present", "twin.fet:null"]


def test_a_drift_below_the_floor_is_none_however_sure(draw: Draw) -> None:
    fitted = detector("twin", Calibration(floor=0.1)).fit(draw("plain", 60, 500))
    drift = fitted.score(draw("plain", 1, 50_000, seed=4, shift=0.15))
    assert drift.p_value < 1e-12
    assert 0.05 < drift.distance < 0.1
    assert not drift.alarm


def test_a_batch_of_a_few_rows_says_nothing(draw: Draw) -> None:
    fitted = detector("twin", RULE).fit(draw("plain", 60, 150))
    drift = fitted.score(draw("plain", 1, 19, shift=9.0))
    assert (drift.distance, drift.p_value, drift.alarm, drift.rows) == (0.0, 1.0, False, 19)
    assert fitted.score(draw("plain", 1, 20, shift=9.0)).alarm


def test_a_column_that_follows_the_calendar_raises_no_alarm() -> None:
    days = np.repeat(np.arange(70), 100)
    fitted = detector("twin", Calibration()).fit(Column("weekend", (days % 7 >= 5).astype(np.int64), days))
    batches = [Column("weekend", np.full(100, int(day % 7 >= 5)), np.full(100, day)) for day in range(70, 84)]
    assert not any(fitted.score(batch).alarm for batch in batches)


def test_the_clock_fires_on_multiples_of_its_days_alone(draw: Draw) -> None:
    clock = ClockOnly(every=7).fit(draw("plain", 20, 5, first=100))
    fired = [day for day in range(120, 150) if clock.score(draw("plain", 1, 5, first=day, shift=9.0)).alarm]
    assert fired == [126, 133, 140, 147]
    assert clock.score(draw("plain", 5, 5, first=131)).alarm
    assert clock.score(draw("plain", 5, 5, first=127)).alarm is False


@pytest.mark.parametrize("name", ["twin", "clock"])
def test_a_detector_without_a_reference_says_so(draw: Draw, name: str) -> None:
    with pytest.raises(UserError, match="call fit first"):
        detector(name, Calibration()).score(draw("plain", 1, 30))


def test_a_batch_of_another_column_is_refused(draw: Draw) -> None:
    fitted = detector("twin", Calibration()).fit(draw("plain", 60, 50))
    with pytest.raises(DataError, match="hour"):
        fitted.score(Column("hour", np.zeros(30), np.zeros(30, np.int64)))
    with pytest.raises(DataError, match="categorical"):
        fitted.score(draw("codes", 1, 30))
