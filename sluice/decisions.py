"""Frozen values that say what was decided, why, and on what evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sluice.errors import UserError


class Action(StrEnum):
    """What a policy can ask for."""

    RETRAIN = "retrain"
    INVESTIGATE = "investigate"
    ROLL_BACK = "roll_back"
    ALERT = "alert"
    HOLD = "hold"


class Verdict(StrEnum):
    """What a gate can say of a batch or a model."""

    PASS = "pass"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision about one segment: the action, the reason a person reads, and the evidence behind it."""

    action: Action
    reason: str
    segment: str
    at: int
    """Event clock, microseconds."""
    evidence: Mapping[str, float | int | str | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule of a gate and what it found."""

    rule: str
    verdict: Verdict
    message: str
    evidence: Mapping[str, float | int | str | None] = field(default_factory=dict)


def worst(findings: tuple[Finding, ...] | list[Finding]) -> Verdict:
    """The gravest verdict among the findings; pass when there are none."""
    order = [Verdict.PASS, Verdict.WARN, Verdict.STOP]
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.PASS)


def signed(what: str, *, by: str, because: str) -> None:
    """UserError unless what a person decides names that person and a reason."""
    for option, given in (("by", by), ("because", because)):
        if not given.strip():
            raise UserError(f"{what} names a person and a reason", where=f"--{option}")
