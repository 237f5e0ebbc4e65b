"""The gate about what the values of columns are like, beside those of the days before."""

from __future__ import annotations

from sluice.decisions import Finding, Verdict
from sluice.declare.durations import duration_text
from sluice.declare.operate import Gates, Shift
from sluice.lake.baselines.shifts import Shift as Moved
from sluice.lake.gates.evidence import BatchEvidence

_CHANCE = 1e-4
"""How likely chance may be to move one of the columns as far, all of a batch together."""


def distribution(gates: Gates, evidence: BatchEvidence) -> Finding:
    """Columns whose values have moved further than is allowed: surely, and by enough to matter."""
    rule, columns = gates.shift, evidence.shifts
    if rule is None:
        return Finding("distribution", Verdict.PASS, "not asked", {})
    figures: dict[str, float | int | str | None] = {one.column: one.moved.psi for one in columns}
    moved = [one for one in columns if _matters(rule, one, len(columns))]
    if not moved:
        told = f"as in the {duration_text(int(rule.over))} before" if columns else "too few rows to compare with"
        return Finding("distribution", Verdict.PASS, told, figures)
    worst = sorted(moved, key=lambda one: -one.moved.psi)
    listed = ", ".join(
        f"{one.column!r} (PSI {one.moved.psi:.2f}, by {one.moved.distance:.2f}, p {one.moved.p_value:.0e})"
        for one in worst
    )
    stops = rule.stop is not None and worst[0].moved.psi > rule.stop
    limits = f"PSI {rule.warn:g} is told, {'nothing stops' if rule.stop is None else f'{rule.stop:g} stops'}"
    message = f"values have moved from those of the {duration_text(int(rule.over))} before: {listed}; {limits}"
    return Finding("distribution", Verdict.STOP if stops else Verdict.WARN, message, figures)


def _matters(rule: Shift, one: Moved, columns: int) -> bool:
    """Whether a column has moved: past the threshold, by more than the floor, and not by chance."""
    found = one.moved
    return found.psi > rule.warn and found.distance > rule.floor and found.p_value < _CHANCE / columns
