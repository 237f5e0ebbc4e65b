"""The gate about what the values of columns are like, beside those of the days before."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.decisions import Finding, Verdict
from sluice.declare.durations import duration_text
from sluice.declare.operate import Gates, Shift
from sluice.lake.baselines.distances import LEAST, Distance
from sluice.lake.baselines.shifts import Shift as Moved
from sluice.lake.gates.evidence import BatchEvidence

_NAMED = 3
_CHANCE = 1e-4
"""How likely chance may be to move one of the columns as far, all of a batch together."""


def distribution(gates: Gates, evidence: BatchEvidence) -> Finding:
    """Columns whose values have moved further than is allowed: surely, and by enough to matter."""
    rule, columns = gates.shift, evidence.shifts
    if rule is None:
        return Finding("distribution", Verdict.PASS, "not asked", {})
    compared = {one.column: one.moved for one in columns if one.moved is not None}
    figures: dict[str, float | int | str | None] = {name: found.psi for name, found in compared.items()}
    moved = {name: found for name, found in compared.items() if _matters(rule, found, len(compared))}
    before, silent = f"the {duration_text(int(rule.over))} before", _silent(columns)
    if not moved:
        told = "; ".join(filter(None, [f"as in {before}" if compared else "", silent]))
        return Finding("distribution", Verdict.PASS, told or "no column to compare", figures)
    worst = sorted(moved.items(), key=lambda item: -item[1].psi)
    listed = ", ".join(
        f"{name!r} (PSI {found.psi:.2f}, by {found.distance:.2f}, p {found.p_value:.0e})" for name, found in worst
    )
    stops = rule.stop is not None and worst[0][1].psi > rule.stop
    limits = f"PSI {rule.warn:g} is told, {'nothing stops' if rule.stop is None else f'{rule.stop:g} stops'}"
    message = "; ".join(filter(None, [f"values have moved from those of {before}: {listed}", limits, silent]))
    return Finding("distribution", Verdict.STOP if stops else Verdict.WARN, message, figures)


def _matters(rule: Shift, found: Distance, columns: int) -> bool:
    """Whether a column has moved: past the threshold, by more than the floor, and not by chance."""
    return found.psi > rule.warn and found.distance > rule.floor and found.p_value < _CHANCE / columns


def _silent(columns: Sequence[Moved]) -> str:
    """The columns of which nothing can be said, with how many rows there are and were, the fewest first."""
    few = sorted((one for one in columns if one.moved is None), key=lambda one: (one.before, one.rows, one.column))
    if not few:
        return ""
    names = ", ".join(repr(one.column) for one in few[:_NAMED]) + (" and more" if len(few) > _NAMED else "")
    return f"not compared, below {LEAST} rows: {names} ({few[0].rows:,} rows now, {few[0].before:,} before)"
