from __future__ import annotations

import math

import numpy as np
import pytest

from sluice.errors import DataError
from sluice.monitor.drift.calibration import Calibration, replayed_rows, replays_of, threshold
from sluice.monitor.drift.choice import detector
from sluice.monitor.drift.columns import Column

from .conftest import Draw, alarming

pytestmark = pytest.mark.unit

WEEKS = (40,) * 60


def test_the_level_is_one_alarm_per_run_length_shared_by_the_columns() -> None:
    assert Calibration(run_length=500, columns=16).level == 1 / 8_000


def test_a_replayed_reference_keeps_its_guard_of_days_from_the_batches() -> None:
    replays = replays_of(WEEKS, 40, 2, Calibration())
    for weights, batches in zip(replays.weights, replays.rows, strict=True):
        chain = set(replays.days[batches.ravel()].tolist())
        drawn = np.flatnonzero(weights)
        apart = [min((day - other) % 60, (other - day) % 60) for day in drawn for other in chain]
        assert min(apart) > 15
        assert weights.sum() == 60 - 6 - 2 * 18


def test_replayed_batches_are_consecutive_whole_days_of_the_stated_size() -> None:
    replays = replays_of(WEEKS, 56, 2, Calibration(k=1, n=3))
    assert replays.rows.shape == (300, 3, 56)
    first, second = (replays.days[replays.rows[0, check]] for check in (0, 1))
    assert set((first - first.min()).tolist()) <= {0, 1, 58, 59}
    assert ((second.min() - first.min()) % 60) in {2, 58, 0}
    assert len(np.unique(replays.rows[0, 0])) == 56


def test_the_same_question_gets_the_same_replays() -> None:
    again = replays_of.__wrapped__(WEEKS, 40, 2, Calibration())
    assert np.array_equal(again.rows, replays_of(WEEKS, 40, 2, Calibration()).rows)
    assert not np.array_equal(again.rows, replays_of(WEEKS, 40, 2, Calibration(seed=1)).rows)


@pytest.mark.parametrize(
    ("rows", "replayed"), [(0, 20), (20, 20), (28, 20), (29, 28), (40, 40), (79, 56), (10**6, 3_620)]
)
def test_batches_are_replayed_at_the_next_lower_of_a_few_sizes(rows: int, replayed: int) -> None:
    assert replayed_rows(rows) == replayed


def test_a_tail_beyond_the_replays_is_continued_as_kolmogorovs() -> None:
    # P(D² > x) = exp(-2 n x) with n = 200: the true threshold at 1e-6 is sqrt(ln(1e6) / 400) = 0.186.
    random = np.random.default_rng(3)
    distances = np.sqrt(random.exponential(1 / 400, (4_000, 1)))
    assert threshold(distances, 1e-6, 1, 0.0) == pytest.approx(math.sqrt(math.log(1e6) / 400), rel=0.05)


def test_a_level_within_the_replays_is_read_off_them() -> None:
    distances = np.linspace(0, 1, 101).reshape(-1, 1)
    assert threshold(distances, 0.5, 1, 0.0) == pytest.approx(0.5, abs=0.01)


def test_the_last_distance_and_the_kth_largest_must_both_be_past_the_threshold() -> None:
    distances = np.tile([0.1, 0.4, 0.9], (50, 1))
    assert threshold(distances, 0.01, 1, 0.0) == pytest.approx(0.9)
    assert threshold(distances, 0.01, 2, 0.0) == pytest.approx(0.4)
    assert threshold(distances, 0.01, 3, 0.0) == pytest.approx(0.1)
    assert threshold(distances[:, ::-1], 0.01, 1, 0.0) == pytest.approx(0.1)


def test_a_threshold_lies_between_the_floor_and_one() -> None:
    assert threshold(np.full((50, 1), 0.01), 0.001, 1, 0.1) == 0.1
    assert threshold(np.random.default_rng(0).random((50, 1)), 1e-9, 1, 0.1) == 1.0


def test_smaller_batches_and_longer_run_lengths_need_wider_thresholds(draw: Draw) -> None:
    reference = draw("plain", 60, 200)

    def wide(rows: int, run_length: int) -> float:
        batch = Column("amount", reference.values[:rows], np.full(rows, 300))
        return detector("twin", Calibration(run_length, floor=0.0)).fit(reference).score(batch).threshold

    assert wide(40, 1_000) > wide(160, 1_000) > wide(160, 20)


def test_days_that_differ_among_themselves_widen_the_threshold(draw: Draw) -> None:
    batch = draw("plain", 1, 200, first=300)

    def wide(sway: float) -> float:
        reference = draw("plain", 60, 200, sway=sway)
        return detector("twin", Calibration(floor=0.0)).fit(reference).score(batch).threshold

    assert wide(0.3) > 1.5 * wide(0.0)


def test_a_reference_of_a_few_days_is_refused(draw: Draw) -> None:
    with pytest.raises(DataError, match="the reference has 13 days"):
        detector("twin", Calibration()).fit(draw("plain", 13, 100))
    with pytest.raises(DataError, match="allowed: 20 days or more"):
        detector("twin", Calibration(k=5, n=10)).fit(draw("plain", 19, 100))


@pytest.mark.parametrize(("k", "n"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("sway", [0.0, 0.2])
def test_the_realised_run_length_on_null_data_is_of_the_stated_order(draw: Draw, k: int, n: int, sway: float) -> None:
    stated, alarms, checks = 40, 0, 0
    for seed in range(6):
        fitted = alarming(Calibration(stated, floor=0.0, k=k, n=n)).fit(draw("plain", 60, 80, seed=seed, sway=sway))
        exceeded: list[bool] = []
        later = draw("plain", 150, 80, seed=1_000 + seed, sway=sway, first=300)
        for day in np.split(np.arange(150 * 80), 150):
            exceeded.append(fitted.score(Column("amount", later.values[day], later.days[day])).alarm)
            alarms += exceeded[-1] and sum(exceeded[-n:]) >= k
            checks += 1
    realised = checks / max(alarms, 1)
    assert stated / 2 < realised < stated * 2
