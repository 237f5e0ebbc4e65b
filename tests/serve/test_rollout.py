from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.rollout import next_move
from serve.rollout_state import Evidence, Gain, Hold, Kind, Move, SegmentState
from serve.routing import Model, Route
from sluice.declare.durations import DAY, HOUR
from sluice.declare.operate import Rollout
from sluice.errors import DataError

pytestmark = pytest.mark.unit

ROLLOUT = Rollout(shadow="1d", canary=(0.1, 0.5), bake="12h", min_requests=200)
A, B, C = (Model("fraud-pos", str(number), f"/m/{number}", "d1") for number in (1, 2, 3))
OTHER = replace(C, definition="d2")
BETTER, NOISE, WORSE = Gain(0.05, 0.01, 0.09, 900, 40), Gain(-0.02, -0.2, 0.1, 900, 9), Gain(-0.3, -0.4, -0.2, 900, 40)
NOTHING = Evidence()
SERVING = SegmentState("pos", champion=A, since=0, promoted_at=0)
SHADOW = replace(SERVING, challenger=B, since=0, began=0, offline=BETTER)
CANARY = replace(SHADOW, share=0.1)
GOOD = Evidence(requests=300, shift=0.02, correlation=0.8, offline=BETTER)


def move(state: SegmentState, evidence: Evidence, now: int = DAY) -> Move:
    found = next_move(state, evidence, ROLLOUT, now)
    assert isinstance(found, Move), found.reason
    return found


def hold(state: SegmentState, evidence: Evidence, now: int = DAY) -> str:
    found = next_move(state, evidence, ROLLOUT, now)
    assert isinstance(found, Hold), found.reason
    return found.reason


def test_the_first_model_of_a_segment_is_promoted_from_nothing() -> None:
    found = move(SegmentState("pos"), Evidence(candidate=A))
    assert (found.kind, found.leaving, found.to, found.reason) == (
        Kind.PROMOTE,
        None,
        A,
        "fraud-pos/1 is the first model of the segment",
    )


def test_a_candidate_begins_in_the_shadow_of_the_champion() -> None:
    found = move(SERVING, Evidence(candidate=B, offline=BETTER))
    assert (found.kind, found.leaving, found.to, found.share) == (Kind.SHADOW, A, B, 0.0)
    assert SERVING.after(found) == replace(SHADOW, since=DAY, began=DAY)


def test_a_good_challenger_takes_over_step_by_step() -> None:
    kinds, state, now = [], SERVING, 0
    for _ in range(4):
        now += DAY
        found = move(state, replace(GOOD, candidate=B), now)
        state = state.after(found)
        kinds.append((found.kind.value, found.share))
    assert kinds == [("shadow", 0.0), ("canary", 0.1), ("canary", 0.5), ("promote", 0.0)]
    assert (state.champion, state.challenger, state.line, state.promoted_at) == (B, None, (A,), 4 * DAY)


def test_a_move_forward_says_why_in_numbers() -> None:
    assert move(SHADOW, GOOD, 25 * HOUR).reason == (
        "after 25.0 h as shadow: 0 of 300 requests failed, scores shift by 0.02, "
        "average precision +0.050 (+0.010 to +0.090, 40 positives in 900 rows)"
    )


@pytest.mark.parametrize(
    ("state", "evidence", "now", "reason"),
    [
        (SERVING, NOTHING, DAY, "nothing is waiting to be rolled out"),
        (SERVING, Evidence(candidate=A), DAY, "fraud-pos/1 is the champion already"),
        (SHADOW, GOOD, DAY - 1, "fraud-pos/2: 24.0 h of 1d as shadow"),
        (CANARY, GOOD, 6 * HOUR, "fraud-pos/2: 6.0 h of 12h as canary of 10%"),
        (SHADOW, replace(GOOD, requests=199), DAY, "fraud-pos/2: 199 of 200 requests"),
        (
            SHADOW,
            replace(GOOD, audited=5_000, mismatched=3),
            DAY,
            "fraud-pos/2: 3 of 5,000 audited vectors differ from their events",
        ),
        (SHADOW, replace(GOOD, incidents="events are missing"), DAY, "fraud-pos/2: events are missing"),
        (
            SERVING,
            Evidence(candidate=B, incidents="events are missing"),
            DAY,
            "fraud-pos/2 waits: events are missing",
        ),
        (SHADOW, replace(GOOD, offline=None), DAY, "fraud-pos/2: no labelled rows show its quality yet"),
        (
            SHADOW,
            replace(GOOD, offline=NOISE),
            DAY,
            "fraud-pos/2: average precision -0.020 (-0.200 to +0.100, 9 positives in 900 rows), -0.010 needed",
        ),
    ],
)
def test_what_is_missing_holds_a_step(state: SegmentState, evidence: Evidence, now: int, reason: str) -> None:
    assert hold(state, evidence, now) == reason


@pytest.mark.parametrize("state", [SHADOW, CANARY])
@pytest.mark.parametrize(
    ("evidence", "reason"),
    [
        (replace(GOOD, requests=50, errors=1), "1 of 50 requests failed (2.00%, 0.10% allowed)"),
        (replace(GOOD, shift=0.31), "its scores shift by 0.31 (0.25 allowed)"),
        (
            replace(GOOD, offline=WORSE, requests=0),
            "average precision -0.300 (-0.400 to -0.200, 40 positives in 900 rows), -0.010 allowed",
        ),
        (
            replace(GOOD, live=WORSE),
            "average precision -0.300 (-0.400 to -0.200, 40 positives in 900 rows), -0.010 allowed",
        ),
        (
            replace(GOOD, offline=None, correlation=0.03),
            "its ranking has nothing of the champion's (correlation 0.03)",
        ),
    ],
)
def test_a_bad_challenger_is_rolled_back_at_once(state: SegmentState, evidence: Evidence, reason: str) -> None:
    found = move(state, evidence, 1)
    assert (found.kind, found.leaving, found.to, found.reason) == (Kind.ROLLBACK, B, A, reason)
    after = state.after(found)
    assert (after.champion, after.challenger, after.share, after.refused) == (A, None, 0.0, {B})


def test_every_reason_against_is_told() -> None:
    found = move(SHADOW, replace(GOOD, errors=5, shift=0.9))
    assert found.reason.count(";") == 1


def test_shift_and_correlation_count_only_with_enough_requests() -> None:
    assert "199 of 200" in hold(SHADOW, replace(GOOD, requests=199, shift=0.9, correlation=-1.0, offline=None))


def test_a_proven_gain_excuses_another_ranking() -> None:
    assert move(SHADOW, replace(GOOD, correlation=0.0)).kind is Kind.CANARY


def test_live_labels_outweigh_offline_ones_when_they_are_more() -> None:
    live = Gain(-0.02, -0.05, 0.01, 9_000, 400)
    assert "-0.010 needed" in hold(SHADOW, replace(GOOD, live=live))


def test_a_failing_champion_gives_way_to_the_one_before() -> None:
    state = replace(SERVING, champion=B, line=(A,))
    found = move(state, Evidence(requests=300, errors=4))
    assert (found.kind, found.leaving, found.to) == (Kind.ROLLBACK, B, A)
    assert (state.after(found).champion, state.after(found).line) == (A, ())


def test_a_failing_champion_without_another_stays() -> None:
    assert hold(SERVING, Evidence(requests=300, errors=4)).endswith("there is nothing to roll back to")


def test_a_model_that_was_rolled_back_does_not_come_again() -> None:
    assert "rolled back or replaced before" in hold(replace(SERVING, refused=frozenset({B})), Evidence(candidate=B))
    assert "rolled back or replaced before" in hold(replace(SERVING, champion=B, line=(A,)), Evidence(candidate=A))


def test_an_unproven_shadow_makes_way_for_a_newer_candidate() -> None:
    evidence = replace(GOOD, offline=NOISE, candidate=C)
    assert move(SHADOW, evidence, 1).reason == "its quality is not proven, and fraud-pos/3 waits"
    assert "needed" in hold(CANARY, evidence)
    assert move(SHADOW, replace(GOOD, candidate=C)).kind is Kind.CANARY


def test_a_champion_of_an_old_definition_is_replaced_at_once() -> None:
    found = move(SERVING, Evidence(candidate=OTHER))
    assert (found.kind, found.leaving, found.to) == (Kind.PROMOTE, A, OTHER)
    assert "no longer computed" in found.reason


def test_a_rollback_never_restores_a_model_of_another_definition() -> None:
    state = SERVING.after(move(SERVING, Evidence(candidate=OTHER)))
    assert "nothing to roll back to" in hold(state, Evidence(requests=300, errors=9))


def test_a_state_gives_its_route() -> None:
    assert SegmentState("pos").route is None
    assert CANARY.route == Route(A, B, 0.1)


@pytest.mark.parametrize(
    ("state", "kind", "leaving", "to", "share"),
    [
        (SegmentState("pos"), Kind.SHADOW, None, A, 0.0),
        (SHADOW, Kind.SHADOW, A, C, 0.0),
        (SHADOW, Kind.CANARY, A, C, 0.1),
        (CANARY, Kind.CANARY, A, B, 0.1),
        (SHADOW, Kind.PROMOTE, A, C, 0.0),
        (SERVING, Kind.PROMOTE, A, A, 0.0),
        (SHADOW, Kind.ROLLBACK, B, C, 0.0),
        (SHADOW, Kind.ROLLBACK, A, None, 0.0),
        (replace(SERVING, champion=B, line=(A,)), Kind.ROLLBACK, B, C, 0.0),
    ],
)
def test_an_impossible_move_is_refused(
    state: SegmentState, kind: Kind, leaving: Model | None, to: Model | None, share: float
) -> None:
    with pytest.raises(DataError):
        state.after(Move("pos", kind, leaving, to, share, "no", DAY))


def models() -> st.SearchStrategy[Model]:
    return st.integers(1, 6).map(lambda version: Model("fraud-pos", str(version), f"/m/{version}", "d1"))


def gains() -> st.SearchStrategy[Gain | None]:
    interval = st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3).map(sorted)
    found = interval.map(lambda each: Gain(each[1], each[0], each[2], 500, 20))
    return st.none() | st.sampled_from([BETTER, NOISE, WORSE]) | found


def evidences() -> st.SearchStrategy[Evidence]:
    return st.builds(
        Evidence,
        candidate=st.none() | models(),
        offline=gains(),
        requests=st.sampled_from([0, 199, 200, 5_000]),
        errors=st.sampled_from([0, 0, 0, 1, 50]),
        shift=st.none() | st.sampled_from([0.0, 0.1, 0.6]),
        correlation=st.none() | st.sampled_from([-0.5, 0.05, 0.7]),
        live=gains(),
        audited=st.just(100),
        mismatched=st.sampled_from([0, 0, 0, 2]),
        incidents=st.sampled_from(["", "", "", "events are missing"]),
    )


@given(st.lists(st.tuples(evidences(), st.integers(0, 2 * DAY)), max_size=40))
def test_whatever_happens_the_rollout_keeps_its_promises(steps: list[tuple[Evidence, int]]) -> None:
    state, now = SegmentState("pos"), 0
    for evidence, passed in steps:
        now += passed
        found = next_move(state, evidence, ROLLOUT, now)
        if isinstance(found, Hold):
            continue
        after = state.after(found)
        if found.kind is Kind.ROLLBACK:
            check_rollback(state, found, after)
        elif state.champion is not None and found.kind is not Kind.SHADOW:
            check_forward(state, evidence, found, now)
        assert after.challenger is None or after.challenger != after.champion
        assert after.challenger not in after.refused
        assert after.champion not in after.refused
        assert after.since == now
        state = after


def check_rollback(before: SegmentState, found: Move, after: SegmentState) -> None:
    """The champion before is restored, and what left does not come again."""
    expected = before.champion if before.challenger else before.line[-1]
    assert after.champion == found.to == expected
    assert after.challenger is None
    assert found.leaving in after.refused


def check_forward(before: SegmentState, evidence: Evidence, found: Move, now: int) -> None:
    """No step is skipped, none is cut short, and none is taken without traffic and proof."""
    assert found.to == before.challenger
    shares = (0.0, *ROLLOUT.canary)
    following = shares.index(before.share) + 1
    assert found.share == (shares[following] if following < len(shares) else 0.0)
    assert (found.kind is Kind.PROMOTE) == (following == len(shares))
    assert now - before.since >= int(ROLLOUT.bake if before.share else ROLLOUT.shadow)
    assert evidence.requests >= ROLLOUT.min_requests
    assert evidence.errors <= ROLLOUT.max_error_rate * evidence.requests
    assert evidence.mismatched == 0
    assert not evidence.incidents
    assert evidence.best is not None
    assert evidence.best.value >= ROLLOUT.min_gain
