from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from sluice.decisions import Action
from sluice.declare.durations import DAY
from sluice.declare.retraining import HybridRetraining, PerformanceRule
from sluice.monitor.drift.checks import DriftRow
from sluice.monitor.evidence import Audited, ModelHistory, drifted, gather
from sluice.monitor.performance import Scored, estimate, measure, outlook, scored

pytestmark = pytest.mark.unit

NOW = 17_800 * DAY
POLICY = HybridRetraining(volume=None)
MODEL = ModelHistory(trained_at=NOW - 10 * DAY, promoted_at=NOW - 9 * DAY, previous="2", new_labels=900)


def drift_row(day: int, column: str = "amount", distance: float = 0.3, **changes: object) -> DriftRow:
    row = DriftRow(
        segment="online",
        day=dt.date(2018, 9, day),
        kind="feature",
        column=column,
        detector="twin.ks:values",
        distance=distance,
        threshold=0.12,
        p_value=1e-9,
        alarm=distance > 0.12,
        rows=400,
        reference="training-7",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def served(seed: int, *, noise: float) -> Scored:
    random = np.random.default_rng(seed)
    signal = random.normal(0, 1.5, 6_000)
    labels = random.random(6_000) < 1 / (1 + np.exp(3 - signal))
    scores = 1 / (1 + np.exp(3 - signal + random.normal(0, noise, 6_000)))
    return scored(scores, random.integers(0, 200, 6_000), np.repeat(np.arange(20), 300), labels.astype(np.int64))


def test_a_column_counts_the_checks_of_the_persistence_window_in_which_it_was_past() -> None:
    rows = [drift_row(1), drift_row(6, distance=0.05), drift_row(11), drift_row(16)]
    (found,) = drifted(rows, POLICY)
    assert (found.column, found.exceeded, found.checks, found.distance) == ("amount", 2, 3, 0.3)


def test_only_alarms_of_the_last_check_count_worst_first() -> None:
    rows = [drift_row(1, "hour"), drift_row(6, "hour", 0.05), drift_row(6, "ratio", 0.2), drift_row(6)]
    assert [item.column for item in drifted(rows, POLICY)] == ["amount", "ratio"]
    assert drifted([drift_row(6, alarm=False)], POLICY) == ()
    assert drifted([], POLICY) == ()


def test_evidence_holds_what_the_rows_say() -> None:
    held_out, mature, newest = served(1, noise=0.0), served(2, noise=0.0), served(3, noise=0.0)
    rows = [drift_row(6), drift_row(6, "hour", 0.05), drift_row(6, segment="pos")]
    evidence = gather(
        "online",
        POLICY,
        MODEL,
        drift=rows,
        held_out=held_out,
        mature=mature,
        newest=newest,
        audited=Audited(5_000, 0),
    )
    assert (evidence.segment, evidence.trained_at, evidence.previous) == ("online", NOW - 10 * DAY, "2")
    assert (evidence.watched, len(evidence.drift)) == (2, 1)
    assert evidence.measured is not None
    assert evidence.baseline is not None
    assert evidence.measured.value == measure(mature).average_precision
    assert evidence.baseline.estimated == estimate(held_out).average_precision
    assert (evidence.expected, evidence.outlook) == (outlook(held_out), outlook(newest))
    assert (evidence.audited, evidence.mismatched) == (5_000, 0)


def test_the_metric_is_the_policys() -> None:
    policy = HybridRetraining(performance=PerformanceRule(metric="auc"))
    evidence = gather("online", policy, MODEL, mature=served(2, noise=0.0))
    assert evidence.metric == "auc"
    assert evidence.measured is not None
    assert evidence.measured.value == measure(served(2, noise=0.0)).auc


def test_a_segment_of_which_nothing_is_known_yet_is_evidence_too() -> None:
    evidence = gather("atm", POLICY, ModelHistory(trained_at=None), mature=scored([], [], []))
    assert (evidence.measured, evidence.baseline, evidence.outlook, evidence.drift) == (None, None, None, ())


def test_steady_quality_holds_and_ruined_scores_retrain() -> None:
    held_out = served(1, noise=0.0)
    steady = gather("online", POLICY, MODEL, held_out=held_out, mature=served(2, noise=0.0))
    assert POLICY.decide(steady, NOW).action is Action.HOLD
    ruined = gather("online", POLICY, MODEL, held_out=held_out, mature=served(2, noise=6.0))
    decision = POLICY.decide(ruined, NOW)
    assert decision.action is Action.RETRAIN
    assert decision.evidence["rule"] == "performance"


def test_ruined_scores_right_after_a_promotion_roll_back() -> None:
    fresh = replace(MODEL, promoted_at=NOW - 2 * DAY)
    evidence = gather("online", POLICY, fresh, held_out=served(1, noise=0.0), mature=served(2, noise=6.0))
    assert POLICY.decide(evidence, NOW).action is Action.ROLL_BACK
