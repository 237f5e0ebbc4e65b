"""Gates of a batch: rules about the whole of it. They pick out no rows; a stop means that it has not arrived."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluice.clock import rfc3339
from sluice.decisions import Finding, Verdict
from sluice.declare.durations import duration_text
from sluice.declare.operate import Gates
from sluice.declare.streams import Stream
from sluice.lake.usual import Usual

_NAMED = 8
"""Columns that nobody declared are named up to so many, the most frequent first."""
_DEVIATIONS = 4
"""A share of missing values has risen when chance would raise it so once in 30,000 batches."""
GATES = ("count", "quarantined", "columns", "missing", "freshness", "foreign_keys")


@dataclass(frozen=True)
class BatchEvidence:
    """What is known of a batch before anyone may see it."""

    rows: int
    quarantined: Mapping[str, int]
    """Refused rows by rule."""
    newest: int | None
    """The greatest event time of the accepted rows, microseconds."""
    foreign_keys: int
    orphans: int
    """Foreign keys without a parent in history or in the same delivery."""
    examples: Sequence[str] = ()
    """What was refused most, in words."""
    puts: int = 0
    """Rows that put an event, as far as they can be read."""
    undeclared: Mapping[str, int] = field(default_factory=dict)
    """Columns of theirs that nobody declared, and how many rows have each."""
    absent: Sequence[str] = ()
    """Declared columns that none of them has, by their names in the delivery."""
    entered: int = 0
    """Accepted rows that put an event."""
    nulls: Mapping[str, int] = field(default_factory=dict)
    """How many of them have no value of each nullable column."""


def judge(stream: Stream, gates: Gates, evidence: BatchEvidence, before: Usual, at: int) -> list[Finding]:
    """What every rule finds; the batch may be published unless one says stop. `before` is what was usual so far."""
    return [
        _count(gates, evidence),
        _refused(gates, evidence),
        _columns(evidence),
        _missing(gates, evidence, before),
        _fresh(stream, gates, evidence, at),
        _orphans(gates, evidence),
    ]


def _count(gates: Gates, evidence: BatchEvidence) -> Finding:
    verdict = Verdict.STOP if evidence.rows < gates.min_rows else Verdict.PASS
    message = f"{evidence.rows:,} rows, at least {gates.min_rows:,} expected"
    return Finding("count", verdict, message, {"rows": evidence.rows, "least": gates.min_rows})


def _refused(gates: Gates, evidence: BatchEvidence) -> Finding:
    refused = sum(evidence.quarantined.values())
    share = refused / evidence.rows if evidence.rows else 0.0
    rules = ", ".join(f"{rule} {count:,}" for rule, count in sorted(evidence.quarantined.items())) or "none"
    verdict = Verdict.STOP if share > gates.max_quarantined else Verdict.PASS
    message = f"{share:.2%} of the rows refused ({rules}), at most {gates.max_quarantined:.2%} allowed"
    if evidence.examples:
        message += f"; {'; '.join(evidence.examples)}"
    return Finding("quarantined", verdict, message, {"share": share, "most": gates.max_quarantined})


def _columns(evidence: BatchEvidence) -> Finding:
    """A column more or less is told: rows are judged by the columns that they need, whatever else changes."""
    often = sorted(evidence.undeclared, key=lambda name: (-evidence.undeclared[name], name))
    more = [f"{name!r} (in {evidence.undeclared[name] / evidence.puts:.2%} of the rows)" for name in often[:_NAMED]]
    others = f" and {len(often) - _NAMED:,} more" if len(often) > _NAMED else ""
    told = [f"nobody declared {', '.join(more)}{others}"] if more else []
    if evidence.absent and evidence.puts:
        told.append(f"no row has {', '.join(map(repr, evidence.absent))}")
    verdict = Verdict.WARN if told else Verdict.PASS
    found: dict[str, float | int | str | None] = {"undeclared": ", ".join(often[:_NAMED])}
    found["absent"] = ", ".join(evidence.absent) if evidence.puts else ""
    return Finding("columns", verdict, "; ".join(told) or "those that are declared", found)


def _missing(gates: Gates, evidence: BatchEvidence, before: Usual) -> Finding:
    """Nullable columns whose values are missing more often than before, by more than is allowed and than chance is."""
    rows = evidence.entered
    shares = {name: count / rows for name, count in evidence.nulls.items()} if rows else {}
    risen = [
        f"{name!r} is missing in {share:.2%} of the rows, in {usual:.2%} of those before"
        for name, share in shares.items()
        if (usual := before.missing.get(name)) is not None
        and share - usual > gates.max_missing_rise
        # of few rows many are without a value by chance; one more counts, as a share may have been 0 so far
        and rows * (share - usual) > _DEVIATIONS * math.sqrt(rows * usual * (1 - usual) + 1)
    ]
    if risen:
        message = f"{'; '.join(risen)}; at most {gates.max_missing_rise:.2%} more allowed"
    else:
        message = f"as in the {before.batches} batches before" if before.batches else "nothing to compare with yet"
    return Finding("missing", Verdict.STOP if risen else Verdict.PASS, message, shares)


def _fresh(stream: Stream, gates: Gates, evidence: BatchEvidence, at: int) -> Finding:
    if not gates.fresh or evidence.newest is None:
        return Finding("freshness", Verdict.PASS, "not asked" if not gates.fresh else "no accepted row to date", {})
    age = at - evidence.newest
    allowed = stream.micros("freshness")
    message = f"newest event {rfc3339(evidence.newest)}, at most {duration_text(allowed)} before {rfc3339(at)} allowed"
    verdict = Verdict.STOP if age > allowed else Verdict.PASS
    if age < -stream.micros("max_skew"):
        verdict, message = Verdict.WARN, f"newest event {rfc3339(evidence.newest)}, which is after {rfc3339(at)}"
    return Finding("freshness", verdict, message, {"age_us": age, "most_us": allowed})


def _orphans(gates: Gates, evidence: BatchEvidence) -> Finding:
    share = evidence.orphans / evidence.foreign_keys if evidence.foreign_keys else 0.0
    verdict = Verdict.STOP if share > gates.max_orphans else Verdict.PASS
    message = f"{share:.2%} of {evidence.foreign_keys:,} foreign keys without a parent, at most {gates.max_orphans:.2%}"
    return Finding("foreign_keys", verdict, message, {"share": share, "most": gates.max_orphans})
