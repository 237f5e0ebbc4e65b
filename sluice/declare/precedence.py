"""The order in which reasons count: every rule looks at the evidence, the first that speaks decides.

A rule is a function from one look (policy, evidence, clock) to a case or to nothing. A case that asks for a retrain
passes the brakes (cooldown, too few labels, budget) and then the segment's override. docs/retraining.md has the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sluice.decisions import Action, Decision
from sluice.declare.durations import DAY, duration_text
from sluice.declare.evidence import Drifted, Evidence, Quality

if TYPE_CHECKING:
    from sluice.declare.retraining import HybridRetraining, PerformanceRule


@dataclass(frozen=True, slots=True)
class Look:
    """One segment, seen at one moment under one policy."""

    policy: HybridRetraining
    evidence: Evidence
    now: int


@dataclass(frozen=True, slots=True)
class Case:
    """What one rule asks for; an urgent retrain that a brake stops becomes an alert, any other a hold."""

    rule: str
    action: Action
    reason: str
    urgent: bool = False


def decide(policy: HybridRetraining, evidence: Evidence, now: int) -> Decision:
    """The decision of the first rule that speaks; the others are named in its reason and its evidence."""
    look = Look(policy, evidence, now)
    cases = [case for rule in PRECEDENCE if (case := rule(look)) is not None]
    settled = _settle(look, cases[0]) if cases else _hold(look)
    reasons = "; also: ".join([settled.reason, *(case.reason for case in cases[1:])])
    also = ", ".join(case.rule for case in cases[1:])
    facts = {"rule": settled.rule, "also": also or None, **_facts(look)}
    return Decision(action=settled.action, reason=reasons, segment=evidence.segment, at=now, evidence=facts)


def _skew(look: Look) -> Case | None:
    if not look.evidence.mismatched:
        return None
    told = f"{look.evidence.mismatched:,} of {look.evidence.audited:,} audited vectors differ from their raw events"
    return Case("skew", Action.INVESTIGATE, f"{told}: nothing is trained on features that training cannot see")


def _no_champion(look: Look) -> Case | None:
    if look.evidence.trained_at is not None:
        return None
    return Case("no_champion", Action.RETRAIN, "the segment has no model of its own")


def _probation(look: Look) -> Case | None:
    fall, evidence = _fall(look), look.evidence
    if fall is None or look.policy.performance is None or evidence.promoted_at is None or evidence.previous is None:
        return None
    served = max(0, look.now - evidence.promoted_at)
    if served > int(look.policy.performance.probation):
        return None
    told = f"{fall}, {_days(served)} after its promotion: back to version {evidence.previous}"
    return Case("probation", Action.ROLL_BACK, told)


def _performance(look: Look) -> Case | None:
    fall = _fall(look)
    if fall is None or _probation(look) is not None:
        return None
    return Case("performance", Action.RETRAIN, fall, urgent=True)


def _missing_values(look: Look) -> Case | None:
    found = [item for item in _drifted(look) if item.missing_values]
    if not found:
        return None
    return Case("missing_values", Action.INVESTIGATE, f"{_listed(found)}: a broken feed is mended, not learned")


def _drift(look: Look) -> Case | None:
    found = [item for item in _drifted(look) if item.kind == "feature" and not item.missing_values]
    if look.policy.drift is None or len(found) < look.policy.drift.columns:
        return None
    return Case("drift", Action.RETRAIN, _listed(found), urgent=True)


def _volume(look: Look) -> Case | None:
    volume, fresh = look.policy.volume, look.evidence.new_labels
    if volume is None or fresh < volume.enough:
        return None
    return Case("volume", Action.RETRAIN, f"{fresh:,} labelled rows are new to the model, {volume.enough:,} are enough")


def _age(look: Look) -> Case | None:
    limit, age = look.policy.max_age, look.evidence.age(look.now)
    if limit is None or look.evidence.trained_at is None or age < int(limit):
        return None
    return Case("age", Action.RETRAIN, f"the model is {_days(age)} old and may be {duration_text(int(limit))}")


def _gap(look: Look) -> Case | None:
    pair = _judged(look)
    if pair is None:
        return None
    rule, baseline, measured = pair
    if measured.estimated is None or measured.gap is None or baseline.gap is None:
        return None
    if measured.estimated <= measured.high or measured.gap - baseline.gap <= rule.max_gap:
        return None
    told = f"{_metric(look)} was estimated at {measured.estimated:.2f} and measured at {_interval(measured)}"
    return Case("gap", Action.INVESTIGATE, f"{told}: scores no longer mean what they meant")


def _score_drift(look: Look) -> Case | None:
    found = [item for item in _drifted(look) if item.kind == "score" and not item.missing_values]
    return Case("score_drift", Action.INVESTIGATE, _listed(found)) if found else None


def _outlook(look: Look) -> Case | None:
    rule, expected, outlook = look.policy.performance, look.evidence.expected, look.evidence.outlook
    if rule is None or expected is None or outlook is None or outlook.positives < rule.min_positives:
        return None
    if outlook.high >= expected.low or expected.value - outlook.value <= rule.max_drop:
        return None
    told = f"{_metric(look)} of the newest rows is estimated at {_interval(outlook)}"
    return Case(
        "outlook", Action.ALERT, f"{told}, against {_interval(expected)} on held-out rows; their labels are not mature"
    )


PRECEDENCE: tuple[Callable[[Look], Case | None], ...] = (
    _skew,
    _no_champion,
    _probation,
    _performance,
    _missing_values,
    _drift,
    _volume,
    _age,
    _gap,
    _score_drift,
    _outlook,
)


def _settle(look: Look, case: Case) -> Case:
    """What is left of a case after the brakes and the segment's override."""
    if case.action is not Action.RETRAIN:
        return case
    braked = _cooling(look, case) or _too_few(look, case) or _spent(look, case)
    override = look.policy.overrides.get(look.evidence.segment)
    if braked is not None or override is None:
        return braked or case
    told = f"{case.reason}; {look.evidence.segment} is compliance-critical: a person decides whether to retrain"
    return replace(case, action=Action(override.instead), reason=told)


def _cooling(look: Look, case: Case) -> Case | None:
    since = look.now - max(look.evidence.retrains, default=look.now - int(look.policy.cooldown))
    if since >= int(look.policy.cooldown):
        return None
    told = f"the last retrain was {_days(since)} ago and the cooldown is {duration_text(int(look.policy.cooldown))}"
    return replace(case, action=Action.HOLD, reason=f"{case.reason}; but {told}")


def _too_few(look: Look, case: Case) -> Case | None:
    volume, fresh = look.policy.volume, look.evidence.new_labels
    if volume is None or fresh >= volume.least:
        return None
    return _braked(case, f"{fresh:,} labelled rows are new to the model, and {volume.least:,} are worth a retrain")


def _spent(look: Look, case: Case) -> Case | None:
    budget = look.policy.budget
    spent = 0 if budget is None else sum(look.now - retrain < int(budget.per) for retrain in look.evidence.retrains)
    if budget is None or spent < budget.retrains:
        return None
    return _braked(
        case, f"{spent} retrains in {duration_text(int(budget.per))} have spent the budget of {budget.retrains}"
    )


def _braked(case: Case, why: str) -> Case:
    return replace(case, action=Action.ALERT if case.urgent else Action.HOLD, reason=f"{case.reason}; but {why}")


def _hold(look: Look) -> Case:
    parts = [_held_age(look), _held_drift(look), _held_quality(look), _held_volume(look)]
    return Case("hold", Action.HOLD, f"nothing asks for a change: {', '.join(part for part in parts if part)}")


def _held_age(look: Look) -> str:
    limit = look.policy.max_age
    return f"the model is {_days(look.evidence.age(look.now))} old" + (
        f" of {duration_text(int(limit))}" if limit else ""
    )


def _held_drift(look: Look) -> str:
    if look.policy.drift is None:
        return ""
    return f"{len(look.evidence.drift)} of {look.evidence.watched} watched columns drifted"


def _held_quality(look: Look) -> str:
    measured, baseline = look.evidence.measured, look.evidence.baseline
    if measured is None or baseline is None:
        return f"{_metric(look)} is not measured yet"
    few = look.policy.performance is not None and measured.positives < look.policy.performance.min_positives
    doubt = f" (on {measured.positives} positives, too few to judge)" if few else ""
    return f"{_metric(look)} is {measured.value:.2f} after {baseline.value:.2f}{doubt}"


def _held_volume(look: Look) -> str:
    enough = f" of {look.policy.volume.enough:,}" if look.policy.volume else ""
    return f"{look.evidence.new_labels:,}{enough} new labelled rows"


def _fall(look: Look) -> str | None:
    """How quality fell, in numbers; None unless the intervals part and the drop is past the limit."""
    pair = _judged(look)
    if pair is None:
        return None
    rule, baseline, measured = pair
    if measured.high >= baseline.low or baseline.value - measured.value <= rule.max_drop:
        return None
    told = f"{_metric(look)} fell from {_interval(baseline)} to {_interval(measured)}"
    return f"{told} on {measured.positives:,} labelled positives"


def _judged(look: Look) -> tuple[PerformanceRule, Quality, Quality] | None:
    """The rule with baseline and measured quality, when there are enough labelled positives to judge by."""
    rule, baseline, measured = look.policy.performance, look.evidence.baseline, look.evidence.measured
    if rule is None or baseline is None or measured is None or measured.positives < rule.min_positives:
        return None
    return rule, baseline, measured


def _drifted(look: Look) -> Sequence[Drifted]:
    return look.evidence.drift if look.policy.drift else ()


def _listed(found: Sequence[Drifted]) -> str:
    worst = max(found, key=lambda item: (item.distance - item.threshold, item.column))
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"{worst}{more}"


def _metric(look: Look) -> str:
    return look.evidence.metric.replace("_", " ")


def _interval(quality: Quality) -> str:
    return f"{quality.value:.2f} ({quality.low:.2f} to {quality.high:.2f})"


def _days(microseconds: int) -> str:
    return f"{microseconds / DAY:.1f} days"


def _facts(look: Look) -> dict[str, float | int | str | bool | None]:
    """The evidence as a flat row, so that a decision can be judged again later."""
    evidence = look.evidence
    worst = max(evidence.drift, key=lambda item: item.distance - item.threshold, default=None)
    measured, baseline = evidence.measured, evidence.baseline
    return {
        "age_days": None if evidence.trained_at is None else evidence.age(look.now) / DAY,
        "drifted": len(evidence.drift),
        "watched": evidence.watched,
        "worst_column": worst.column if worst else None,
        "worst_distance": worst.distance if worst else None,
        "worst_threshold": worst.threshold if worst else None,
        "metric": evidence.metric,
        "measured": measured.value if measured else None,
        "baseline": baseline.value if baseline else None,
        "positives": measured.positives if measured else None,
        "estimated": measured.estimated if measured else None,
        "outlook": evidence.outlook.value if evidence.outlook else None,
        "expected": evidence.expected.value if evidence.expected else None,
        "new_labels": evidence.new_labels,
        "retrains": len(evidence.retrains),
        "days_since_retrain": (look.now - max(evidence.retrains)) / DAY if evidence.retrains else None,
        "audited": evidence.audited,
        "mismatched": evidence.mismatched,
    }
