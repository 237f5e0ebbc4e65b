from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import average_precision_score

from serve.rollout_evidence import SAME, gather, live_gain, measure_gain, paired, rank_correlation, score_shift
from serve.rollout_state import Gain, SegmentState
from serve.routing import Model
from sluice.declare.durations import DAY

pytestmark = pytest.mark.unit

A, B = (Model("fraud-pos", str(number), f"/m/{number}", "d1") for number in (1, 2))
OFFLINE = Gain(0.1, 0.05, 0.2, 800, 30)
SHADOW = SegmentState("pos", champion=A, challenger=B, since=100, began=50, offline=OFFLINE)


def row(event: object, model: Model, score: float | None, *, answered: int = 101, request: str = "r") -> dict[str, Any]:
    return {
        "request_id": request,
        "event_id": str(event),
        "event_time": 3 * DAY,
        "answered": answered,
        "model": model.name,
        "version": model.version,
        "score": score,
    }


def table(*rows: dict[str, Any]) -> pa.Table:
    names = {"request_id": pa.string(), "event_id": pa.string(), "event_time": pa.int64(), "answered": pa.int64()}
    kinds = pa.schema(
        {**names, "model": pa.string(), "version": pa.string(), "score": pa.float64(), "position": pa.int64()}
    )
    return pa.Table.from_pylist([{**item, "position": place} for place, item in enumerate(rows)], schema=kinds)


def test_both_models_are_compared_on_the_same_requests_of_the_step() -> None:
    scores = [(number, number / 100, number / 50) for number in range(40)]
    rows = [each for number, one, two in scores for each in (row(number, A, one), row(number, B, two))]
    early = [row("x", A, 0.9, answered=100), row("x", B, 0.1, answered=100)]
    found = gather(SHADOW, table(*early, *rows))
    assert (found.requests, found.errors, found.offline) == (40, 0, OFFLINE)
    assert found.correlation == pytest.approx(1.0)
    assert found.shift == pytest.approx(0.5, abs=0.03)


def test_a_failed_score_is_an_error_and_in_no_pair() -> None:
    found = gather(SHADOW, table(row(1, A, 0.1), row(1, B, None), row(2, A, 0.2), row(2, B, 0.2)))
    assert (found.requests, found.errors, found.shift) == (2, 1, 0.0)


def test_another_models_rows_count_for_nobody() -> None:
    other = Model("fraud-pos", "9", "/m/9", "d1")
    assert gather(SHADOW, table(row(1, other, 0.1), row(1, A, 0.1))).requests == 0


def test_without_a_challenger_the_champions_own_failures_count() -> None:
    state = SegmentState("pos", champion=A, since=100)
    found = gather(state, table(row(1, A, None), row(2, A, 0.1), row(3, B, None)), candidate=B, offline=OFFLINE)
    assert (found.requests, found.errors, found.candidate, found.offline) == (2, 1, B, OFFLINE)


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    found = gather(SegmentState("pos"), table(), candidate=A, offline=OFFLINE)
    assert (found.candidate, found.requests) == (A, 0)


def test_a_challengers_own_gain_stands_and_not_that_of_a_newer_candidate() -> None:
    assert gather(SHADOW, table(), offline=Gain(0.9, 0.9, 0.9, 1, 1)).offline == OFFLINE


def test_events_of_one_request_without_ids_are_paired_in_order() -> None:
    rows = [row("", A, 0.1), row("", A, 0.2), row("", B, 0.6), row("", B, 0.7)]
    found = paired(table(*rows), A, B, since=0)
    assert found[["champion", "challenger"]].to_numpy().tolist() == [[0.1, 0.6], [0.2, 0.7]]


def test_one_event_asked_twice_is_two_requests() -> None:
    rows = [row(1, model, 0.1, request=request) for request in "ab" for model in (A, B)]
    assert len(paired(table(*rows), A, B, since=0)) == 2


def test_live_labels_are_counted_since_the_challenger_was_put_forward() -> None:
    rows = [
        each
        for number in range(60)
        for each in (
            row(number, A, (59 - number) / 60, answered=60),
            row(number, B, number / 60, answered=60),
        )
    ]
    labels = pa.table({"event_id": [str(number) for number in range(55)], "label": [int(n > 50) for n in range(55)]})
    found = gather(SHADOW, table(*rows), labels=labels)
    assert found.requests == 0
    assert found.live is not None
    assert (found.live.rows, found.live.positives) == (55, 4)
    assert found.live.value > 0.8


def test_no_labels_no_gain() -> None:
    assert live_gain(paired(table(row(1, A, 0.1), row(1, B, 0.1)), A, B, since=0), None) is None


SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(lambda found: np.array(found, np.float64))


@given(SCORES, SCORES)
def test_the_shift_is_never_above_the_plain_distance(first: np.ndarray, second: np.ndarray) -> None:
    found = score_shift(first, second)
    assert found is not None
    plain = max(abs(np.mean(first <= at) - np.mean(second <= at)) for at in (*first, *second))
    assert 0 <= found <= plain + 1e-9
    assert found == score_shift(second, first)


@given(st.lists(st.floats(0, 0.9), min_size=1, max_size=60), st.floats(0, SAME * 0.99))
def test_moving_every_score_by_less_than_a_hundredth_is_no_shift(scores: list[float], by: float) -> None:
    assert score_shift(np.array(scores), np.array(scores) + by) == 0.0


def test_two_calibrated_models_of_a_rare_event_do_not_shift_but_a_frightened_one_does() -> None:
    rng = np.random.default_rng(7)
    calm, other = rng.uniform(0.001, 0.003, 5_000), rng.uniform(0.004, 0.006, 5_000)
    assert stats.ks_2samp(calm, other, method="asymp").statistic == 1.0
    assert score_shift(calm, other) == 0.0
    frightened = np.where(rng.random(5_000) < 0.3, 0.6, calm)
    assert score_shift(calm, frightened) == pytest.approx(0.3, abs=0.02)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=40))
def test_the_correlation_is_spearmans(pairs: list[tuple[float, float]]) -> None:
    first, second = (np.array(side) for side in zip(*pairs, strict=True))
    found = rank_correlation(first, second)
    if found is not None:
        assert found == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-9)


def test_a_constant_score_ranks_nothing() -> None:
    assert rank_correlation(np.full(9, 0.5), np.arange(9) / 9) is None


def labelled(days: int = 14, per_day: int = 60, seed: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(days * per_day) < 0.1).astype(np.int64)
    good = np.clip(0.3 * labels + 0.5 * rng.random(len(labels)), 0, 1)
    return labels, good, np.repeat(np.arange(days), per_day)


def test_the_gain_is_the_difference_of_average_precisions() -> None:
    labels, good, days = labelled()
    random = np.random.default_rng(0).random(len(labels))
    found = measure_gain(labels, good, random, days)
    expected = average_precision_score(labels, random) - average_precision_score(labels, good)
    assert found is not None
    assert found.value == pytest.approx(expected)
    assert found.low <= found.value <= found.high < -0.3
    assert (found.rows, found.positives) == (len(labels), int(labels.sum()))


def test_a_model_is_no_gain_over_itself() -> None:
    labels, good, days = labelled()
    assert measure_gain(labels, good, good, days) == Gain(0.0, 0.0, 0.0, len(labels), int(labels.sum()))


def test_with_few_days_the_gain_cannot_be_told() -> None:
    labels, good, days = labelled(days=4)
    found = measure_gain(labels, good, np.zeros(len(good)), days)
    assert found is not None
    assert (found.low, found.high) == (-1.0, 1.0)


@pytest.mark.parametrize("label", [0, 1])
def test_labels_of_one_kind_prove_nothing(label: int) -> None:
    scores = np.linspace(0, 1, 30)
    assert measure_gain(np.full(30, label), scores, scores, np.arange(30)) is None
