"""Gates about days that are told anew: how much of them may go, and that history is the one they were told against."""

from __future__ import annotations

from collections.abc import Iterator

from sluice.decisions import Finding, Verdict
from sluice.declare.operate import Gates
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.restating import Restated


def restatement(gates: Gates, evidence: BatchEvidence) -> Finding:
    """A greater share of a restated day's events is missing from its new files than may be."""
    found = evidence.restated
    if found is None:
        return Finding("restatement", Verdict.PASS, "it adds to history", {})
    before = found.as_before + found.replaced + found.gone
    share = found.gone / before if before else 0.0
    told = (
        f"{found.days}: {found.as_before:,} rows are as they were, {found.replaced:,} replaced, {found.added:,} added, "
        f"{found.gone:,} events gone; at most {gates.max_gone:.2%} of them may go"
    )
    verdict = Verdict.STOP if share > gates.max_gone else Verdict.PASS
    return Finding("restatement", verdict, told, {**_counts(found), "share": share, "most": gates.max_gone})


def outdated(evidence: BatchEvidence) -> Iterator[Finding]:
    """A stop that nobody can waive, for days that were told against a history which has moved on since."""
    found = evidence.restated
    if found is not None and not found.current:
        told = (
            f"it was decided what is new of {found.days} against a history that has moved on since, or under other "
            "names of columns: deliver it again as another batch"
        )
        yield Finding("history", Verdict.STOP, told, _counts(found))


def _counts(found: Restated) -> dict[str, int]:
    return {
        "as_before": found.as_before,
        "replaced": found.replaced,
        "added": found.added,
        "gone": found.gone,
    }
