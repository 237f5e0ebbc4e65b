"""Waivers: a person lets a gate's stop pass, says why, and for how long; every one is a row that stays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from sluice.clock import to_second
from sluice.decisions import Finding, Verdict, signed
from sluice.errors import UserError
from sluice.lake.gates.verdict import GATES
from sluice.lake.tables import Lake

WAIVERS = pa.schema(
    {
        "stream": pa.string(),
        "rule": pa.string(),
        "batch": pa.string(),
        "by": pa.string(),
        "because": pa.string(),
        "at": pa.int64(),
        "until": pa.int64(),
    }
)


@dataclass(frozen=True)
class Waiver:
    """One gate of one stream that does not stop, until a moment of the event clock."""

    stream: str
    rule: str
    batch: str | None
    """The batch that it is for; None for every batch."""
    by: str
    because: str
    at: int
    until: int

    def __str__(self) -> str:
        whom = "every batch" if self.batch is None else f"batch {self.batch!r}"
        until = to_second(self.until)
        return f"{self.stream}:{self.rule} waived for {whom} by {self.by} until {until}: {self.because}"

    def holds(self, stream: str, batch: str, at: int) -> bool:
        """Whether it is for a batch that is judged at a moment before it ends."""
        return self.stream == stream and self.batch in (None, batch) and at < self.until


def grant(lake: Lake, waiver: Waiver) -> None:
    """Keep a waiver; UserError without a gate that there is, a person, a reason and an end."""
    if waiver.rule not in GATES:
        raise UserError.unknown("gate", waiver.rule, GATES, where="waiver")
    signed("a waiver", by=waiver.by, because=waiver.because)
    if waiver.until <= waiver.at:
        raise UserError("a waiver holds for some time", where="--for", allowed="1min or more")
    lake.append_rows("waivers", [asdict(waiver)], WAIVERS)


def waivers(lake: Lake) -> list[Waiver]:
    """Every waiver there ever was, oldest first."""
    return sorted((Waiver(**row) for row in lake.rows("waivers")), key=lambda one: one.at)


def holding(lake: Lake, stream: str, batch: str, at: int) -> dict[str, Waiver]:
    """By gate, the newest waiver that holds for a batch at a moment."""
    return {one.rule: one for one in waivers(lake) if one.holds(stream, batch, at)}


def waive(findings: Sequence[Finding], held: Mapping[str, Waiver]) -> list[Finding]:
    """The findings, with a warning that names the waiver in place of each stop that one holds for."""
    return [
        _waived(finding, held[finding.rule]) if finding.verdict is Verdict.STOP and finding.rule in held else finding
        for finding in findings
    ]


def _waived(finding: Finding, waiver: Waiver) -> Finding:
    told = f"waived by {waiver.by} until {to_second(waiver.until)} ({waiver.because}): {finding.message}"
    return replace(finding, verdict=Verdict.WARN, message=told)
