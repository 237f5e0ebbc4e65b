"""All gates in their order: what each finds of a batch."""

from __future__ import annotations

from sluice.decisions import Finding
from sluice.declare.operate import Gates
from sluice.declare.streams import Stream
from sluice.lake.gates.arrival import fresh, late, whole
from sluice.lake.gates.columns import columns, missing
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.gates.restatement import outdated, restatement
from sluice.lake.gates.rows import count, parents, refused
from sluice.lake.gates.seam import seam
from sluice.lake.gates.shape import distribution
from sluice.lake.gates.usual import Usual

GATES = (
    "count",
    "quarantined",
    "columns",
    "missing",
    "freshness",
    "lateness",
    "positions",
    "seam",
    "distribution",
    "foreign_keys",
    "restatement",
)


def judge(stream: Stream, gates: Gates, evidence: BatchEvidence, before: Usual, at: int) -> list[Finding]:
    """What every rule finds; the batch may be published unless one says stop. `before` is what was usual so far."""
    return [
        count(gates, evidence, before),
        refused(gates, evidence),
        columns(evidence),
        missing(gates, evidence, before),
        fresh(stream, gates, evidence, at),
        late(stream, gates, evidence),
        whole(evidence),
        seam(evidence),
        distribution(gates, evidence),
        parents(gates, evidence),
        restatement(gates, evidence),
        *outdated(evidence),
    ]
