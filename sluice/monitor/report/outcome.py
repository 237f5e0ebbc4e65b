"""The run in one sentence, from its figures alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sluice.monitor.report.events import accounted, closes
from sluice.monitor.report.wording import of_all
from sluice.wording import counted, listed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reader who reads nothing else should know; `sound` when nothing is missing, wrong or failed."""

    sound: bool
    sentence: str


def outcome(figures: Mapping[str, Any]) -> Outcome:
    """What broke, if anything did, or else what held and what changed."""
    broken = list(_broken(figures))
    if broken:
        return Outcome(sound=False, sentence=f"Something is wrong: {listed(broken)}.")
    return Outcome(sound=True, sentence=f"{_held(figures)}; {changed(figures)}.")


def changed(figures: Mapping[str, Any]) -> str:
    """What drift, decisions and the rollout did."""
    alarms = sum(row["alarm"] for row in figures["drift"])
    moves = figures["promotions"]
    taken = sum(row["move"] == "promote" and row["from"] is not None for row in moves)
    back = sum(row["move"] == "rollback" for row in moves)
    return listed(
        [
            f"drift raised {counted(alarms, 'alarm')}",
            f"{counted(taken, 'challenger')} took over",
            f"{back:,} {'was' if back == 1 else 'were'} rolled back",
        ]
    )


def _broken(figures: Mapping[str, Any]) -> Iterator[str]:
    for event in figures["events"]:
        if not closes(event):
            missing = event["produced"] - accounted(event)
            what = "produced and not accounted for" if missing > 0 else "accounted for and never produced"
            yield f"{counted(abs(missing), 'event')} of {event['stream']} {what}"
    audit, serving = figures["audit"], figures["serving"]
    if audit["mismatched"]:
        yield f"{of_all(audit['mismatched'], audit['checked'], 'audited vector')} differ from their raw events"
    if serving["failed"]:
        yield f"{of_all(serving['failed'], serving['requests'], 'request')} failed"


def _held(figures: Mapping[str, Any]) -> str:
    produced = sum(event["produced"] for event in figures["events"])
    audit, serving = figures["audit"], figures["serving"]
    parts = [f"{of_all(produced, produced, 'event')} are accounted for"]
    if serving["requests"]:
        parts.append(f"{of_all(serving['requests'], serving['requests'], 'request')} were answered")
    if audit["checked"]:
        parts.append(f"{of_all(audit['checked'], audit['checked'], 'audited vector')} are right to the bit")
    return listed(parts)
