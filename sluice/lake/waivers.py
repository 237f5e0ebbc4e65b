"""Waivers: a person lets a gate's stop pass, says why, and for how long.

Each is a row of `waivers` that stays; withdrawing one is another row with a person and a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

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
        "state": pa.string(),
    }
)
"""`state` is null of one that was granted before there were withdrawals."""
GRANTED, WITHDRAWN = "granted", "withdrawn"


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
    # on a clock that stands still one that is granted again comes after its withdrawal
    ended = _withdrawn(lake.rows("waivers")).get(_what(waiver), waiver.at - 1)
    row = {**asdict(waiver), "at": max(waiver.at, ended + 1), "state": GRANTED}
    lake.append_rows("waivers", [row], WAIVERS)


def withdraw(
    lake: Lake, stream: str, rule: str, batch: str | None, *, by: str, because: str, at: int
) -> Sequence[Waiver]:
    """Let a gate stop a batch again, or every batch: the waivers of it, which hold no more.

    What they have let pass stays; an incident that one has closed is open again. UserError without a person and a
    reason, and when there is no such waiver.
    """
    signed("withdrawing a waiver", by=by, because=because)
    standing = waivers(lake)
    found = [one for one in standing if _what(one) == (stream, rule, batch)]
    if not found:
        whom = "every batch" if batch is None else f"batch {batch!r}"
        raise UserError(
            f"there is no waiver of {stream}:{rule} for {whom}",
            where="waiver",
            allowed="; ".join(map(str, standing)) or "none yet",
            next_step="name its batch, or none for one of every batch" if standing else None,
        )
    row = {**asdict(found[-1]), "by": by, "because": because, "at": max(at, found[-1].at), "state": WITHDRAWN}
    lake.append_rows("waivers", [row], WAIVERS)
    return found


def waivers(lake: Lake) -> list[Waiver]:
    """Every waiver that nobody has withdrawn, oldest first."""
    rows = lake.rows("waivers")
    ended = _withdrawn(rows)
    granted = [_waiver(row) for row in rows if row.get("state") != WITHDRAWN]
    standing = [one for one in granted if one.at > ended.get(_what(one), one.at - 1)]
    return sorted(standing, key=lambda one: one.at)


def holding(lake: Lake, stream: str, batch: str, at: int) -> dict[str, Waiver]:
    """By gate, the newest waiver that holds for a batch at a moment."""
    return {one.rule: one for one in waivers(lake) if one.holds(stream, batch, at)}


def _withdrawn(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str | None], int]:
    """When waivers were last withdrawn, by what they are of."""
    found: dict[tuple[str, str, str | None], int] = {}
    for row in rows:
        if row.get("state") == WITHDRAWN:
            what = row["stream"], row["rule"], row["batch"]
            found[what] = max(row["at"], found.get(what, row["at"]))
    return found


def _what(waiver: Waiver) -> tuple[str, str, str | None]:
    return waiver.stream, waiver.rule, waiver.batch


def _waiver(row: Mapping[str, Any]) -> Waiver:
    return Waiver(**{one.name: row[one.name] for one in fields(Waiver)})


def waive(findings: Sequence[Finding], held: Mapping[str, Waiver]) -> list[Finding]:
    """The findings, with a warning that names the waiver in place of each stop that one holds for."""
    return [
        _waived(finding, held[finding.rule]) if finding.verdict is Verdict.STOP and finding.rule in held else finding
        for finding in findings
    ]


def _waived(finding: Finding, waiver: Waiver) -> Finding:
    told = f"waived by {waiver.by} until {to_second(waiver.until)} ({waiver.because}): {finding.message}"
    return replace(finding, verdict=Verdict.WARN, message=told)
