from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

from sluice.errors import DataError
from sluice.monitor.performance import (
    PerformanceRow,
    Scored,
    estimate,
    measure,
    outlook,
    outlook_rows,
    performance_rows,
    quality,
    scored,
)

pytestmark = pytest.mark.unit


def stream(days: int = 20, rows: int = 400, *, seed: int = 0, concept: float = 1.0, inputs: float = 0.0) -> Scored:
    """Calibrated scores while `concept` is 1; below it, the true odds are nearer to each other than the scores say."""
    random = np.random.default_rng(seed)
    signal = random.normal(inputs, 1.5, days * rows)
    probability = 1 / (1 + np.exp(3 - signal))
    truth = 1 / (1 + np.exp(3 - concept * signal))
    labels = random.random(len(signal)) < truth
    on = np.repeat(np.arange(17_700, 17_700 + days), rows)
    return scored(probability, random.integers(0, 300, len(signal)), on, labels.astype(np.int64))


def test_four_measures_by_hand() -> None:
    rows = scored([0.9, 0.8, 0.3, 0.1], ["a", "b", "c", "d"], [1, 1, 1, 1], [1, 0, 1, 0])
    found = measure(rows)
    assert (found.rows, found.positives) == (4, 2)
    assert found.auc == pytest.approx(0.75)
    assert found.average_precision == pytest.approx((1 + 2 / 3) / 2)
    assert found.card_precision_at_100 == pytest.approx(0.02)
    assert found.log_loss == pytest.approx(-np.log([0.9, 0.2, 0.3, 0.9]).mean())


def test_log_loss_is_scikit_learns() -> None:
    rows = stream(days=2)
    assert measure(rows).log_loss == pytest.approx(log_loss(rows.labels, rows.scores), rel=1e-12)


def test_a_measure_that_is_not_defined_is_none() -> None:
    found = measure(scored([0.9, 0.1], ["a", "b"], [1, 1], [0, 0]))
    assert (found.auc, found.average_precision, found.card_precision_at_100) == (None, None, 0.0)
    nothing = measure(scored([], [], [], []))
    assert (nothing.auc, nothing.card_precision_at_100, nothing.log_loss) == (None, None, None)


@pytest.mark.parametrize("inputs", [0.0, 0.8])
def test_the_estimate_follows_calibrated_scores_through_a_shift_of_the_inputs(inputs: float) -> None:
    rows = stream(60, 500, inputs=inputs)
    found, expected = measure(rows), estimate(rows)
    assert expected.auc == pytest.approx(found.auc, abs=0.01)
    assert expected.average_precision == pytest.approx(found.average_precision, abs=0.02)
    assert expected.log_loss == pytest.approx(found.log_loss, abs=0.01)
    assert expected.positives == pytest.approx(found.positives, rel=0.05)


def test_the_gap_opens_when_the_concept_changes_and_only_then() -> None:
    def gap(concept: float) -> float:
        row = performance_rows("online", "3", stream(60, 500, concept=concept))[2]
        assert row.kind == "gap"
        assert row.average_precision is not None
        return row.average_precision

    assert gap(1.0) == pytest.approx(0.0, abs=0.02)
    assert gap(0.3) > 0.2


def test_an_estimate_needs_no_labels() -> None:
    rows = stream()
    assert estimate(scored(rows.scores, rows.cards, rows.days)) == estimate(rows)


def test_the_interval_covers_the_long_run_value_in_most_streams() -> None:
    truth = measure(stream(400, 400, seed=99)).average_precision
    assert truth is not None
    found = [quality(stream(15, 200, seed=seed), replays=100) for seed in range(40)]
    covered = sum(item is not None and item.low <= truth <= item.high for item in found)
    assert 33 <= covered <= 40


@pytest.mark.parametrize("metric", ["auc", "average_precision", "card_precision_at_100"])
def test_quality_is_the_measure_with_its_interval_and_its_estimate(metric: str) -> None:
    rows = stream()
    found = quality(rows, metric)
    assert found is not None
    assert found.value == getattr(measure(rows), metric)
    assert found.estimated == getattr(estimate(rows), metric)
    assert 0 < found.high - found.low < 0.3
    assert found.positives == rows.labels.sum()
    assert quality(rows, metric) == found


def test_with_a_few_days_the_interval_says_nothing() -> None:
    found = quality(stream(days=4))
    assert found is not None
    assert (found.low, found.high) == (0.0, 1.0)


def test_quality_without_positives_is_not_told() -> None:
    assert quality(scored([0.5] * 9, list(range(9)), list(range(9)), [0] * 9)) is None


@pytest.mark.parametrize("metric", ["auc", "average_precision"])
def test_the_outlook_is_the_estimate_with_its_interval_and_the_positives_expected(metric: str) -> None:
    rows = stream()
    found = outlook(scored(rows.scores, rows.cards, rows.days), metric)
    assert found is not None
    assert found.value == getattr(estimate(rows), metric)
    assert 0 < found.high - found.low < 0.2
    assert found.positives == int(rows.scores.sum())


def test_cards_have_no_outlook_and_a_few_days_have_one_that_says_nothing() -> None:
    assert outlook(stream(), "card_precision_at_100") is None
    few = outlook(stream(days=4))
    assert few is not None
    assert (few.low, few.high) == (0.0, 1.0)


def test_the_outlook_of_a_day_like_any_other_reaches_the_long_run_value() -> None:
    truth = estimate(stream(400, 400, seed=99)).average_precision
    assert truth is not None
    found = [outlook(stream(15, 200, seed=seed), replays=100) for seed in range(40)]
    assert 33 <= sum(item is not None and item.low <= truth <= item.high for item in found) <= 40


def test_labelled_rows_give_three_rows_of_the_table_and_unlabelled_ones_an_estimate() -> None:
    rows = stream(days=3)
    measured, estimated, gap = performance_rows("online", "3", rows)
    assert {row.day for row in (measured, estimated, gap)} == {dt.date(2018, 6, 20)}
    assert [row.kind for row in (measured, estimated, gap)] == ["measured", "estimated", "gap"]
    assert measured.auc is not None
    assert estimated.auc is not None
    assert gap.auc == estimated.auc - measured.auc
    assert outlook_rows("online", "3", rows) == (estimated,)
    assert performance_rows("online", "3", scored([], [], [], [])) == ()
    assert outlook_rows("online", "3", scored([], [], [])) == ()


def test_rows_go_to_an_arrow_table_and_back() -> None:
    rows = performance_rows("online", "3", stream(days=3))
    table = pa.Table.from_pylist([asdict(row) for row in rows])
    assert tuple(PerformanceRow(**row) for row in table.to_pylist()) == rows


@pytest.mark.parametrize(
    "columns",
    [
        {"scores": [1.5, 0.5]},
        {"scores": [float("nan"), 0.5]},
        {"labels": [2, 0]},
        {"labels": [1]},
        {"days": [1, 1, 1]},
    ],
)
def test_rows_that_make_no_sense_are_refused(columns: dict[str, Any]) -> None:
    sound: dict[str, Any] = {"scores": [0.1, 0.5], "cards": ["a", "b"], "days": [1, 1], "labels": [0, 1]}
    with pytest.raises(DataError, match="scored rows"):
        scored(**{**sound, **columns})
