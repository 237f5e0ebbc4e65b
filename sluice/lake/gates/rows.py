"""Gates about how many rows a batch has, how many of them are refused, and how many find no parent."""

from __future__ import annotations

from sluice.clock import to_datetime
from sluice.decisions import Finding, Verdict
from sluice.declare.durations import duration_text
from sluice.declare.operate import Gates
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.gates.usual import LEAST, Usual


def weekday_of(evidence: BatchEvidence) -> str | None:
    """The weekday of the newest event, to which a batch is counted; None of one without accepted rows."""
    return None if evidence.newest is None else f"{to_datetime(evidence.newest):%A}"


def count(gates: Gates, evidence: BatchEvidence, before: Usual) -> Finding:
    """Too few rows; or so many more or fewer than is usual on that weekday that it cannot be the whole, or only it."""
    weekday, rows = weekday_of(evidence), evidence.rows
    asked = gates.max_count_change is not None
    found = {"rows": rows, "least": gates.min_rows, "weekday": weekday, "compared": asked}
    told = f"{rows:,} rows, at least {gates.min_rows:,} expected"
    verdict = Verdict.STOP if rows < gates.min_rows else Verdict.PASS
    usual, name = before.rows_of(weekday)
    if gates.max_count_change is not None and usual is not None:
        low, high = usual / gates.max_count_change, usual * gates.max_count_change
        told += f"; {usual:,.0f} are usual {name}, {low:,.0f} to {high:,.0f} allowed"
        verdict = verdict if low <= rows <= high else Verdict.STOP
    elif asked:
        told += f"; fewer than {LEAST} batches to compare with"
    return Finding("count", verdict, told, found)


def refused(gates: Gates, evidence: BatchEvidence) -> Finding:
    """A greater share of rows that row rules refuse than is allowed."""
    total = sum(evidence.quarantined.values())
    share = total / evidence.rows if evidence.rows else 0.0
    rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(evidence.quarantined.items())) or "none"
    verdict = Verdict.STOP if share > gates.max_quarantined else Verdict.PASS
    message = f"{share:.2%} of the rows refused ({rules}), at most {gates.max_quarantined:.2%} allowed"
    if evidence.examples:
        message += f"; {'; '.join(evidence.examples)}"
    return Finding("quarantined", verdict, message, {"share": share, "most": gates.max_quarantined})


def parents(gates: Gates, evidence: BatchEvidence) -> Finding:
    """A greater share of foreign keys that had their time and found no parent than is allowed."""
    share = evidence.orphans / evidence.foreign_keys if evidence.foreign_keys else 0.0
    verdict = Verdict.STOP if share > gates.max_orphans else Verdict.PASS
    message = f"{share:.2%} of {evidence.foreign_keys:,} foreign keys without a parent, at most {gates.max_orphans:.2%}"
    if evidence.waiting_keys:
        message += f"; {evidence.waiting_keys:,} more have until {duration_text(int(gates.grace))} after their event"
    return Finding("foreign_keys", verdict, message, {"share": share, "most": gates.max_orphans})
