"""The gate about where the files of a hybrid stream end and its topic begins."""

from __future__ import annotations

from sluice.clock import rfc3339
from sluice.decisions import Finding, Verdict
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.seam import RULE

_NAMED = 3


def seam(evidence: BatchEvidence) -> Finding:
    """Events that neither files nor the topic have, by position or by time."""
    met = evidence.seam
    if met is None:
        return Finding(RULE, Verdict.PASS, "not asked", {})
    found: dict[str, float | int | str | None] = {"cut": met.cut, "silence": met.silence, "closed": met.closed}
    if met.lost:
        more = f" and {len(met.lost) - _NAMED:,} more" if len(met.lost) > _NAMED else ""
        return Finding(RULE, Verdict.STOP, f"{'; '.join(met.lost[:_NAMED])}{more}", found)
    at = rfc3339(met.cut)
    told = f"files and topic meet at {at}" if met.closed else f"the topic has not come to {at} yet"
    return Finding(RULE, Verdict.PASS, told, found)
