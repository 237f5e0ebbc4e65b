"""Incidents: what a gate found of events that are history already, and what is derived from them waits for.

A topic's events cannot be held: the stream has them. So a stop there is an incident, and it is open until a person lets
it pass by a waiver; where it is only about when events came, until a later batch of the stream passes that gate; and at
the seam of a hybrid stream, until one finds that its files and its topic meet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.clock import rfc3339
from sluice.decisions import Verdict
from sluice.declare.pipeline import Pipeline
from sluice.errors import GateStopped
from sluice.lake.attempts import last_attempts
from sluice.lake.contract import TOPIC
from sluice.lake.seam import RULE as SEAM
from sluice.lake.tables import Lake
from sluice.lake.waivers import Waiver, waivers
from sluice.wording import command

ARRIVAL = ("count", "freshness", "lateness")
"""Gates about when events came, and how many: a later batch that passes shows that it is over."""


@dataclass(frozen=True)
class Incident:
    """A stop of a gate that readers see the events of."""

    stream: str
    batch: str
    rule: str
    at: int
    message: str
    cut: int | None = None
    """Where files and topic were to meet, of one at a seam."""

    def __str__(self) -> str:
        return f"{self.stream}:{self.rule} of batch {self.batch!r} at {rfc3339(self.at)}: {self.message}"

    def next_step(self, pipeline: str) -> str:
        """What ends it, of a pipeline as the command line names it."""
        waive = command("gates", "waive", pipeline, f"{self.stream}:{self.rule}", "--batch", self.batch)
        mend = "see to the source, and"
        if self.rule == SEAM:
            mend = "deliver what is missing as a file, and the next batch of the topic ends it; or"
        return f"{mend} close it: {waive} --by WHO --because WHY"


def incidents(lake: Lake) -> list[Incident]:
    """The incidents that are open, oldest first."""
    every, granted = lake.rows("verdicts"), waivers(lake)
    last = _last(lake, every)
    stops = [_incident(row) for row in last if row["verdict"] == Verdict.STOP.value]
    found = [one for one in stops if not (_waived(one, granted) or _over(one, last) or _closed(one, every))]
    return sorted(found, key=lambda one: (one.at, one.stream, one.rule))


def refuse_incidents(lake: Lake, pipeline: Pipeline, what: str) -> None:
    """GateStopped while an incident is open: what would be derived from such events waits."""
    found = incidents(lake)
    if found:
        first = found[0]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise GateStopped(
            f"{what} waits for {first}{more}",
            where=lake.uri("verdicts"),
            next_step=first.next_step(pipeline.reference),
        )


def _incident(row: Mapping[str, Any]) -> Incident:
    cut = _told(row).get("cut") if row["rule"] == SEAM else None
    return Incident(row["stream"], row["batch"], row["rule"], row["at"], row["message"], cut)


def _last(lake: Lake, verdicts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """What the gates found of every batch of topics, at the last attempt; one of files is not seen unless it passed."""
    shown = {(row["stream"], row["batch"]) for row in lake.published() if TOPIC in (row["sources"] or "")}
    return [row for one in last_attempts(verdicts) if (one.stream, one.batch) in shown for row in one.found]


def _waived(incident: Incident, granted: Sequence[Waiver]) -> bool:
    return any(
        one.stream == incident.stream
        and one.rule == incident.rule
        and (one.batch == incident.batch or (one.batch is None and one.at >= incident.at))
        for one in granted
    )


def _over(incident: Incident, verdicts: Sequence[Mapping[str, Any]]) -> bool:
    return incident.rule in ARRIVAL and any(
        row["stream"] == incident.stream
        and row["rule"] == incident.rule
        and row["at"] > incident.at
        and row["verdict"] != Verdict.STOP.value
        for row in verdicts
    )


def _closed(incident: Incident, verdicts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether files and topic were found to meet: at the same cut, which is not asked any more, or later at another."""
    return incident.rule == SEAM and any(
        row["stream"] == incident.stream
        and row["rule"] == SEAM
        and (told := _told(row)).get("closed")
        and (told["cut"] == incident.cut or row["at"] > incident.at)
        for row in verdicts
    )


def _told(row: Mapping[str, Any]) -> Mapping[str, Any]:
    evidence: Mapping[str, Any] = json.loads(row["evidence"] or "{}")
    return evidence
