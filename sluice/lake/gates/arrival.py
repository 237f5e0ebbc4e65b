"""Gates about when the rows of a batch arrived, and whether all did that should have."""

from __future__ import annotations

from sluice.clock import rfc3339
from sluice.decisions import Finding, Verdict
from sluice.declare.durations import duration_text
from sluice.declare.operate import Gates
from sluice.declare.streams import Stream
from sluice.lake.gates.evidence import BatchEvidence

_NAMED = 3


def fresh(stream: Stream, gates: Gates, evidence: BatchEvidence, at: int) -> Finding:
    """The newest event is older than declared; one from the future is a warning."""
    if not gates.fresh or evidence.newest is None:
        return Finding("freshness", Verdict.PASS, "not asked" if not gates.fresh else "no accepted row to date", {})
    age = at - evidence.newest
    allowed = stream.micros("freshness")
    message = f"newest event {rfc3339(evidence.newest)}, at most {duration_text(allowed)} before {rfc3339(at)} allowed"
    verdict = Verdict.STOP if age > allowed else Verdict.PASS
    if age < -stream.micros("max_skew"):
        verdict, message = Verdict.WARN, f"newest event {rfc3339(evidence.newest)}, which is after {rfc3339(at)}"
    return Finding("freshness", verdict, message, {"age_us": age, "most_us": allowed})


def late(stream: Stream, gates: Gates, evidence: BatchEvidence) -> Finding:
    """A greater share of rows reached us later than their stream allows than may be."""
    accepted = evidence.rows - sum(evidence.quarantined.values())
    share = evidence.late / accepted if accepted else 0.0
    verdict = Verdict.STOP if share > gates.max_late else Verdict.PASS
    after = duration_text(stream.micros("late_after"))
    message = f"{share:.2%} of the rows came more than {after} after they happened, at most {gates.max_late:.2%}"
    return Finding("lateness", verdict, message, {"share": share, "most": gates.max_late})


def whole(evidence: BatchEvidence) -> Finding:
    """Positions of a topic that are not there between those that are: records that nobody has, or will have."""
    more = f" and {len(evidence.gaps) - _NAMED:,} more" if len(evidence.gaps) > _NAMED else ""
    told = f"{'; '.join(evidence.gaps[:_NAMED])}{more}" if evidence.gaps else "without a gap"
    verdict = Verdict.STOP if evidence.gaps else Verdict.PASS
    return Finding("positions", verdict, told, {"gaps": len(evidence.gaps)})
