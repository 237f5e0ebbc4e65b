"""Decisions and findings are values: they cannot be changed, and the gravest finding speaks for all."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.decisions import Action, Decision, Finding, Verdict, worst

pytestmark = pytest.mark.unit

GRAVITY = {Verdict.PASS: 0, Verdict.WARN: 1, Verdict.STOP: 2}


@given(st.lists(st.sampled_from(Verdict)))
def test_the_gravest_verdict_is_the_worst(verdicts: list[Verdict]) -> None:
    findings = [Finding("rule", verdict, "") for verdict in verdicts]

    assert GRAVITY[worst(findings)] == max((GRAVITY[verdict] for verdict in verdicts), default=0)


def test_no_finding_is_a_pass() -> None:
    assert worst(()) is Verdict.PASS


def test_a_decision_cannot_be_changed() -> None:
    decision = Decision(Action.HOLD, "nothing to do", "pos", 17)

    with pytest.raises(FrozenInstanceError):
        decision.action = Action.RETRAIN
    assert dict(decision.evidence) == {}


def test_actions_and_verdicts_are_stored_as_their_words() -> None:
    assert [action.value for action in Action] == ["retrain", "investigate", "roll_back", "alert", "hold"]
    assert [verdict.value for verdict in Verdict] == ["pass", "warn", "stop"]
