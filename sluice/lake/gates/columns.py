"""Gates about the columns of a batch: which there are, and in how many rows a value is missing."""

from __future__ import annotations

import math

from sluice.decisions import Finding, Verdict
from sluice.declare.operate import Gates
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.gates.usual import Usual

_NAMED = 8
"""Columns that nobody declared are named up to so many, the most frequent first."""
_DEVIATIONS = 4
"""A share of missing values has risen when chance would raise it so once in 30,000 batches."""


def columns(evidence: BatchEvidence) -> Finding:
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


def missing(gates: Gates, evidence: BatchEvidence, before: Usual) -> Finding:
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
