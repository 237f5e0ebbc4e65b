"""When a segment's model is retrained: a declared policy, and a pure function from evidence and clock to a decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sluice.decisions import Decision
from sluice.declare.arguments import check_fields
from sluice.declare.checks import one_of
from sluice.declare.durations import Duration, duration
from sluice.declare.evidence import METRICS, Evidence
from sluice.declare.precedence import decide
from sluice.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class DriftRule:
    """How sure and how large a drift must be: a false alarm once in `run_length` checks, a floor, and persistence."""

    run_length: int = 10_000
    """Checks of one segment, all columns together, between two false alarms when nothing changes (ARL0)."""
    floor: float = 0.1
    """No distance below this is a drift, however sure; distances are differences of probability, 0 to 1."""
    persistence: tuple[int, int] = (2, 3)
    """(k, n): the threshold must be passed in k of the last n checks."""
    columns: int = 1
    """How many features must drift together before it counts."""
    ignore: Sequence[str] = ()
    """Features that are not watched."""

    def __post_init__(self) -> None:
        _between(self.run_length, 10, 10_000_000, "DriftRule.run_length")
        _between(self.floor, 0, 1, "DriftRule.floor")
        _persistent(self.persistence)
        _between(self.columns, 1, 10_000, "DriftRule.columns")
        check_fields(self, where="DriftRule")


@dataclass(frozen=True, kw_only=True)
class PerformanceRule:
    """How far quality may fall: past `max_drop`, and further than the two 95 % intervals explain."""

    metric: str = "average_precision"
    max_drop: float = 0.1
    max_gap: float = 0.15
    """How much more the estimate may flatter the model than it did on held-out rows."""
    min_positives: int = 30
    """Fewer labelled positives, or positives expected by an estimate, than this say nothing."""
    window: Duration = "28d"
    """How far back the events reach whose mature labels measure quality; never past the champion's promotion."""
    probation: Duration = "7d"
    """A fall this soon after a promotion is the new model's doing, and rolls it back."""

    def __post_init__(self) -> None:
        one_of(self.metric, METRICS, where="PerformanceRule.metric", kind="metric")
        _between(self.max_drop, 0, 1, "PerformanceRule.max_drop")
        _between(self.max_gap, 0, 1, "PerformanceRule.max_gap")
        _between(self.min_positives, 1, 10_000_000, "PerformanceRule.min_positives")
        _set_duration(self, "probation")
        _set_duration(self, "window")
        check_fields(self, where="PerformanceRule")


@dataclass(frozen=True, kw_only=True)
class VolumeRule:
    """How many new labelled rows are reason enough to retrain, and the fewest worth retraining on for any reason."""

    enough: int = 250_000
    least: int = 500

    def __post_init__(self) -> None:
        _between(self.least, 0, 1_000_000_000, "VolumeRule.least")
        _between(self.enough, max(self.least, 1), 1_000_000_000, "VolumeRule.enough")
        check_fields(self, where="VolumeRule")


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most `retrains` retrains of a segment in any span `per`."""

    retrains: int = 6
    per: Duration = "30d"

    def __post_init__(self) -> None:
        _between(self.retrains, 1, 10_000, "Budget.retrains")
        check_fields(self, where="Budget")
        _set_duration(self, "per")


@dataclass(frozen=True, kw_only=True)
class ComplianceCritical:
    """A segment that no policy retrains: a person does, after the alert or investigation that stands in its place."""

    instead: Literal["alert", "investigate"] = "alert"

    def __post_init__(self) -> None:
        one_of(self.instead, ("alert", "investigate"), where="ComplianceCritical.instead", kind="action")


@dataclass(frozen=True, kw_only=True)
class HybridRetraining:
    """Retrain on age, drift, performance or volume, within a cooldown and a budget; `None` switches a rule off."""

    max_age: Duration | None = "30d"
    drift: DriftRule | None = field(default_factory=DriftRule)
    performance: PerformanceRule | None = field(default_factory=PerformanceRule)
    volume: VolumeRule | None = field(default_factory=VolumeRule)
    cooldown: Duration = "2d"
    budget: Budget | None = field(default_factory=Budget)
    overrides: Mapping[str, ComplianceCritical] = field(default_factory=dict)
    """Segments with a rule of their own."""

    def __post_init__(self) -> None:
        self._check_rules()
        _set_duration(self, "cooldown", least=0)
        if self.max_age is not None:
            _set_duration(self, "max_age")
        if (self.max_age, self.drift, self.performance, self.volume) == (None, None, None, None):
            raise DeclarationError(
                "every rule is switched off, so no model would ever be retrained",
                where="HybridRetraining",
                allowed="at least one of max_age, drift, performance, volume",
            )

    def decide(self, evidence: Evidence, now: int) -> Decision:
        """The one decision that follows from this evidence at `now` (microseconds); see docs/retraining.md."""
        return decide(self, evidence, now)

    def _check_rules(self) -> None:
        _is_rule(self.drift, DriftRule, "HybridRetraining.drift")
        _is_rule(self.performance, PerformanceRule, "HybridRetraining.performance")
        _is_rule(self.volume, VolumeRule, "HybridRetraining.volume")
        _is_rule(self.budget, Budget, "HybridRetraining.budget")
        check_fields(self, where="HybridRetraining")
        for segment, override in self.overrides.items():
            where = f"HybridRetraining.overrides[{segment!r}]"
            _is_rule(override, ComplianceCritical, where, optional=False)


def _between(value: object, low: float, high: float, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise DeclarationError(f"{value!r} is out of range", where=where, allowed=f"{low:,} to {high:,}")


def _persistent(pair: object) -> None:
    if not isinstance(pair, tuple) or len(pair) != 2:
        raise DeclarationError(f"{pair!r} is no pair", where="DriftRule.persistence", allowed="(k, n), such as (2, 3)")
    _between(pair[1], 1, 30, "DriftRule.persistence n")
    _between(pair[0], 1, pair[1], "DriftRule.persistence k")


def _is_rule(value: object, kind: type, where: str, *, optional: bool = True) -> None:
    if isinstance(value, kind) or (optional and value is None):
        return
    allowed = f"{kind.__name__}(...)" + (" or None" if optional else "")
    raise DeclarationError(f"{value!r} is no {kind.__name__}", where=where, allowed=allowed)


def _set_duration(rule: object, name: str, *, least: int = 1) -> None:
    """Keep a declared duration as microseconds."""
    where = f"{type(rule).__name__}.{name}"
    value = duration(getattr(rule, name), where=where)
    if value < least:
        raise DeclarationError(
            f"{value} microseconds is too short", where=where, allowed="a duration such as '2d' or '12h'"
        )
    object.__setattr__(rule, name, value)
