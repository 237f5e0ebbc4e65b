from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.decisions import Action
from sluice.declare.durations import DAY, HOUR
from sluice.declare.evidence import Drifted, Evidence, Quality
from sluice.declare.retraining import (
    Budget,
    ComplianceCritical,
    DriftRule,
    HybridRetraining,
    PerformanceRule,
    VolumeRule,
)
from sluice.errors import DeclarationError

pytestmark = pytest.mark.unit

NOW = 1_000 * DAY
POLICY = HybridRetraining(overrides={"atm": ComplianceCritical()})
CALM = Evidence(segment="pos", trained_at=NOW - 12 * DAY, new_labels=800, watched=16, audited=5_000)
AMOUNT = Drifted(
    column="amount", kind="feature", detector="twin.ks:values", distance=0.314, threshold=0.142, exceeded=2, checks=3
)
SCORE = replace(AMOUNT, column="score", kind="score", distance=0.2)
NULLS = replace(AMOUNT, column="country", detector="twin.fet:null", distance=0.5, threshold=0.1)
HELD_OUT = Quality(value=0.62, low=0.56, high=0.68, positives=210, estimated=0.64)
FALLEN = Quality(value=0.41, low=0.35, high=0.47, positives=132, estimated=0.60)


def decided(policy: HybridRetraining = POLICY, now: int = NOW, **changes: Any) -> tuple[Action, str]:
    decision = policy.decide(replace(CALM, **changes), now)
    return decision.action, decision.reason


def test_a_quiet_segment_is_held_and_the_reason_says_how_far_it_is_from_every_limit() -> None:
    assert decided(baseline=HELD_OUT, measured=replace(FALLEN, value=0.6, high=0.66)) == (
        Action.HOLD,
        (
            "nothing asks for a change: the model is 12.0 days old of 30d, 0 of 16 watched columns drifted, "
            "average precision is 0.60 after 0.62, 800 of 250,000 new labelled rows"
        ),
    )


def test_a_model_older_than_max_age_is_retrained() -> None:
    assert decided(trained_at=NOW - 30 * DAY) == (Action.RETRAIN, "the model is 30.0 days old and may be 30d")
    assert decided(trained_at=NOW - 30 * DAY + 1)[0] is Action.HOLD


def test_persistent_drift_of_a_feature_retrains() -> None:
    assert decided(drift=(AMOUNT,)) == (
        Action.RETRAIN,
        "amount moved by 0.31 (past 0.14 in 2 of 3 checks)",
    )


def test_the_worst_of_several_drifted_columns_is_named_and_the_others_counted() -> None:
    mild = replace(AMOUNT, column="hour", distance=0.15)
    assert decided(drift=(mild, AMOUNT))[1] == "amount moved by 0.31 (past 0.14 in 2 of 3 checks), and 1 more"


def test_fewer_drifted_columns_than_the_rule_asks_for_are_no_drift() -> None:
    policy = HybridRetraining(drift=DriftRule(columns=2))
    assert decided(policy, drift=(AMOUNT,))[0] is Action.HOLD
    assert decided(policy, drift=(AMOUNT, replace(AMOUNT, column="hour")))[0] is Action.RETRAIN


def test_drift_of_the_scores_alone_is_investigated() -> None:
    assert decided(drift=(SCORE,))[0] is Action.INVESTIGATE


def test_missing_values_are_investigated_even_when_other_columns_drift() -> None:
    action, reason = decided(drift=(AMOUNT, NULLS))
    assert action is Action.INVESTIGATE
    assert reason == (
        "missing values of country moved by 0.50 (past 0.10 in 2 of 3 checks): a broken feed is mended, not learned; "
        "also: amount moved by 0.31 (past 0.14 in 2 of 3 checks)"
    )


def test_values_that_turn_up_are_drift_like_any_other() -> None:
    appeared = replace(NULLS, detector="twin.fet:present")
    assert decided(drift=(appeared,)) == (Action.RETRAIN, "country moved by 0.50 (past 0.10 in 2 of 3 checks)")


def test_a_fall_of_measured_quality_retrains() -> None:
    assert decided(baseline=HELD_OUT, measured=FALLEN) == (
        Action.RETRAIN,
        (
            "average precision fell from 0.62 (0.56 to 0.68) to 0.41 (0.35 to 0.47) on 132 labelled positives; "
            "also: average precision was estimated at 0.60 and measured at 0.41 (0.35 to 0.47): "
            "scores no longer mean what they meant"
        ),
    )


@pytest.mark.parametrize(
    "measured",
    [
        pytest.param(replace(FALLEN, high=0.57, estimated=None), id="the intervals touch"),
        pytest.param(replace(FALLEN, value=0.53, high=0.55, estimated=None), id="the drop is within max_drop"),
        pytest.param(replace(FALLEN, positives=29), id="too few positives"),
    ],
)
def test_a_fall_that_noise_explains_is_held(measured: Quality) -> None:
    assert decided(baseline=HELD_OUT, measured=measured)[0] is Action.HOLD


def test_a_fall_soon_after_a_promotion_rolls_back_to_the_version_before() -> None:
    fallen = {"baseline": HELD_OUT, "measured": replace(FALLEN, estimated=None)}
    action, reason = decided(promoted_at=NOW - 3 * DAY, previous="4", **fallen)
    assert action is Action.ROLL_BACK
    assert reason.endswith("132 labelled positives, 3.0 days after its promotion: back to version 4")
    assert decided(promoted_at=NOW - 8 * DAY, previous="4", **fallen)[0] is Action.RETRAIN
    assert decided(promoted_at=NOW - 3 * DAY, previous=None, **fallen)[0] is Action.RETRAIN


def test_an_estimate_that_flatters_more_than_it_did_on_held_out_rows_is_investigated() -> None:
    measured = Quality(value=0.58, low=0.52, high=0.64, positives=90, estimated=0.80)
    assert decided(baseline=HELD_OUT, measured=measured)[0] is Action.INVESTIGATE
    flattering_always = replace(HELD_OUT, estimated=0.80)
    assert decided(baseline=flattering_always, measured=measured)[0] is Action.HOLD


EXPECTED = Quality(value=0.64, low=0.58, high=0.7, positives=205)
POOR = Quality(value=0.5, low=0.43, high=0.57, positives=61)


def test_a_poor_outlook_without_mature_labels_alerts() -> None:
    assert decided(expected=EXPECTED, outlook=POOR) == (
        Action.ALERT,
        (
            "average precision of the newest rows is estimated at 0.50 (0.43 to 0.57), "
            "against 0.64 (0.58 to 0.70) on held-out rows; their labels are not mature"
        ),
    )


@pytest.mark.parametrize(
    "outlook",
    [
        pytest.param(replace(POOR, high=0.58), id="the intervals touch"),
        pytest.param(replace(POOR, value=0.55), id="the drop is within max_drop"),
        pytest.param(replace(POOR, positives=29), id="too few positives are expected"),
    ],
)
def test_a_poor_outlook_that_noise_explains_is_held(outlook: Quality) -> None:
    assert decided(expected=EXPECTED, outlook=outlook)[0] is Action.HOLD


def test_enough_new_labels_retrain() -> None:
    assert decided(new_labels=250_000)[0] is Action.RETRAIN
    assert decided(new_labels=249_999)[0] is Action.HOLD


def test_a_segment_without_a_model_is_trained() -> None:
    assert decided(trained_at=None) == (Action.RETRAIN, "the segment has no model of its own")


def test_skew_is_investigated_and_never_trained_on_whatever_else_is_true() -> None:
    action, reason = decided(mismatched=3, drift=(AMOUNT,), trained_at=NOW - 90 * DAY)
    assert action is Action.INVESTIGATE
    assert reason.startswith("3 of 5,000 audited vectors differ from their raw events")


def test_a_retrain_within_the_cooldown_is_held_with_its_cause() -> None:
    assert decided(drift=(AMOUNT,), retrains=(NOW - 36 * HOUR,)) == (
        Action.HOLD,
        (
            "amount moved by 0.31 (past 0.14 in 2 of 3 checks); but the last retrain was 1.5 days ago "
            "and the cooldown is 2d"
        ),
    )
    assert decided(drift=(AMOUNT,), retrains=(NOW - 48 * HOUR,))[0] is Action.RETRAIN


@pytest.mark.parametrize(
    ("changes", "action"),
    [({"drift": (AMOUNT,)}, Action.ALERT), ({"trained_at": NOW - 40 * DAY}, Action.HOLD)],
    ids=["urgent", "routine"],
)
@pytest.mark.parametrize(
    "brake",
    [{"new_labels": 499}, {"retrains": tuple(NOW - day * DAY for day in range(3, 9))}],
    ids=["labels", "budget"],
)
def test_a_brake_makes_an_urgent_retrain_an_alert_and_a_routine_one_a_hold(
    changes: dict[str, Any], action: Action, brake: dict[str, Any]
) -> None:
    assert decided(**changes, **brake)[0] is action


def test_the_budget_counts_only_retrains_of_its_span() -> None:
    old = tuple(NOW - (30 + day) * DAY for day in range(20))
    assert decided(drift=(AMOUNT,), retrains=old)[0] is Action.RETRAIN


def test_a_compliance_critical_segment_alerts_instead_of_retraining() -> None:
    action, reason = decided(segment="atm", drift=(AMOUNT,))
    assert action is Action.ALERT
    assert reason.endswith("atm is compliance-critical: a person decides whether to retrain")
    investigating = HybridRetraining(overrides={"atm": ComplianceCritical(instead="investigate")})
    assert decided(investigating, segment="atm", drift=(AMOUNT,))[0] is Action.INVESTIGATE


def test_a_rule_switched_off_says_nothing() -> None:
    only_age = HybridRetraining(drift=None, performance=None, volume=None, budget=None)
    loud: dict[str, Any] = {"drift": (AMOUNT, NULLS, SCORE), "baseline": HELD_OUT, "measured": FALLEN, "outlook": POOR}
    loud["expected"] = EXPECTED
    assert decided(only_age, **loud, new_labels=10**9)[0] is Action.HOLD
    assert decided(HybridRetraining(max_age=None), trained_at=0)[0] is Action.HOLD


def test_the_evidence_is_kept_as_flat_numbers() -> None:
    decision = POLICY.decide(replace(CALM, drift=(AMOUNT,), trained_at=NOW - 31 * DAY), NOW)
    assert decision.at == NOW
    assert decision.evidence["rule"] == "drift"
    assert decision.evidence["also"] == "age"
    assert decision.evidence["age_days"] == 31.0
    assert decision.evidence["worst_column"] == "amount"
    assert decision.evidence["worst_distance"] == 0.314
    assert all(item is None or isinstance(item, float | int | str) for item in decision.evidence.values())


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (lambda: HybridRetraining(max_age="soon"), "HybridRetraining.max_age"),
        (lambda: HybridRetraining(max_age="0d"), "HybridRetraining.max_age"),
        (lambda: HybridRetraining(cooldown=-1), "HybridRetraining.cooldown"),
        (lambda: HybridRetraining(overrides={"atm": "critical"}), "HybridRetraining.overrides['atm']"),  # type: ignore[dict-item]
        (lambda: HybridRetraining(drift=0.1), "HybridRetraining.drift"),  # type: ignore[arg-type]
        (lambda: HybridRetraining(max_age=None, drift=None, performance=None, volume=None), "HybridRetraining"),
        (lambda: DriftRule(run_length=1), "DriftRule.run_length"),
        (lambda: DriftRule(floor=1.5), "DriftRule.floor"),
        (lambda: DriftRule(floor=float("nan")), "DriftRule.floor"),
        (lambda: DriftRule(persistence=(4, 3)), "DriftRule.persistence k"),
        (lambda: DriftRule(persistence=2), "DriftRule.persistence"),  # type: ignore[arg-type]
        (lambda: DriftRule(columns=0), "DriftRule.columns"),
        (lambda: PerformanceRule(metric="accuracy"), "PerformanceRule.metric"),
        (lambda: PerformanceRule(max_drop=-0.1), "PerformanceRule.max_drop"),
        (lambda: PerformanceRule(probation="later"), "PerformanceRule.probation"),
        (lambda: PerformanceRule(window="0d"), "PerformanceRule.window"),
        (lambda: VolumeRule(enough=100, least=200), "VolumeRule.enough"),
        (lambda: Budget(retrains=0), "Budget.retrains"),
        (lambda: ComplianceCritical(instead="hold"), "ComplianceCritical.instead"),  # type: ignore[arg-type]
        (lambda: Quality(value=0.9, low=0.1, high=0.2, positives=1), "Quality"),
    ],
)
def test_an_impossible_value_fails_where_it_is_written_and_says_what_is_allowed(
    build: Callable[[], object], where: str
) -> None:
    with pytest.raises(DeclarationError) as raised:
        build()
    assert raised.value.where == where
    assert raised.value.allowed


def test_a_policy_is_a_frozen_value() -> None:
    assert HybridRetraining(max_age="30d") == HybridRetraining(max_age=30 * DAY)
    with pytest.raises(FrozenInstanceError):
        POLICY.cooldown = 0  # type: ignore[misc]


share = st.floats(0, 1, allow_nan=False)
moments = st.integers(NOW - 400 * DAY, NOW)


@st.composite
def qualities(draw: st.DrawFn) -> Quality:
    low, value, high = sorted(draw(st.tuples(share, share, share)))
    estimated = draw(st.none() | share)
    return Quality(value=value, low=low, high=high, positives=draw(st.integers(0, 500)), estimated=estimated)


drifted = st.builds(
    Drifted,
    column=st.sampled_from(["amount", "hour", "score"]),
    kind=st.sampled_from(["feature", "score"]),
    detector=st.sampled_from(["twin.ks:values", "twin.fet:null"]),
    distance=share,
    threshold=share,
    exceeded=st.integers(2, 3),
    checks=st.just(3),
)
evidences = st.builds(
    Evidence,
    segment=st.sampled_from(["pos", "online", "atm"]),
    trained_at=st.none() | moments,
    promoted_at=st.none() | moments,
    previous=st.none() | st.just("3"),
    retrains=st.lists(moments, max_size=8).map(tuple),
    new_labels=st.integers(0, 400_000),
    watched=st.integers(0, 20),
    drift=st.lists(drifted, max_size=3).map(tuple),
    baseline=st.none() | qualities(),
    measured=st.none() | qualities(),
    expected=st.none() | qualities(),
    outlook=st.none() | qualities(),
    audited=st.integers(0, 9_000),
    mismatched=st.sampled_from([0, 0, 0, 1, 7]),
)


@given(evidences)
def test_the_same_evidence_and_clock_give_the_same_decision(evidence: Evidence) -> None:
    assert POLICY.decide(evidence, NOW) == POLICY.decide(replace(evidence), NOW)


@given(evidences)
def test_every_decision_has_a_reason_and_names_its_segment_and_moment(evidence: Evidence) -> None:
    decision = POLICY.decide(evidence, NOW)
    assert len(decision.reason) > 20
    assert (decision.segment, decision.at) == (evidence.segment, NOW)
    assert decision.evidence["rule"]


@given(evidences)
def test_no_retrain_falls_within_the_cooldown(evidence: Evidence) -> None:
    decision = POLICY.decide(evidence, NOW)
    if decision.action is Action.RETRAIN:
        assert all(NOW - retrain >= 2 * DAY for retrain in evidence.retrains)


@given(evidences)
def test_no_retrain_exceeds_the_budget(evidence: Evidence) -> None:
    decision = POLICY.decide(evidence, NOW)
    if decision.action is Action.RETRAIN:
        assert sum(NOW - retrain < 30 * DAY for retrain in evidence.retrains) < 6


@given(evidences)
def test_an_overridden_segment_is_never_retrained(evidence: Evidence) -> None:
    assert POLICY.decide(replace(evidence, segment="atm"), NOW).action is not Action.RETRAIN


@given(evidences)
def test_skew_never_retrains(evidence: Evidence) -> None:
    assert POLICY.decide(replace(evidence, mismatched=1), NOW).action is Action.INVESTIGATE


@given(evidences, st.integers(0, 400 * DAY))
def test_a_retrain_stays_a_retrain_when_the_model_is_older(evidence: Evidence, older: int) -> None:
    aged = replace(evidence, trained_at=None if evidence.trained_at is None else evidence.trained_at - older)
    if POLICY.decide(evidence, NOW).action is Action.RETRAIN:
        assert POLICY.decide(aged, NOW).action is Action.RETRAIN


@given(evidences)
def test_a_hold_without_a_brake_means_that_no_rule_spoke(evidence: Evidence) -> None:
    decision = POLICY.decide(evidence, NOW)
    if decision.evidence["rule"] == "hold":
        assert decision.action is Action.HOLD
        assert not evidence.drift
        assert evidence.mismatched == 0
        assert evidence.age(NOW) < 30 * DAY


@given(st.lists(evidences, min_size=1, max_size=12))
def test_following_the_policy_day_by_day_keeps_retrains_a_cooldown_apart(days: list[Evidence]) -> None:
    retrains: tuple[int, ...] = ()
    for day, evidence in enumerate(days):
        now = NOW + day * DAY
        if POLICY.decide(replace(evidence, retrains=retrains), now).action is Action.RETRAIN:
            retrains = (*retrains, now)
    assert all(later - earlier >= 2 * DAY for earlier, later in itertools.pairwise(retrains))
