"""What the gates stopped, why, and how it was repaired: read from verdicts, published batches and quarantine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sluice.decisions import Verdict
from sluice.declare.streams import Stream
from sluice.lake.attempts import last_attempts
from sluice.lake.tables import Lake


@dataclass(frozen=True, slots=True)
class Stop:
    """A delivery of one stream that a gate stopped; times are event-clock microseconds."""

    batch: str
    stream: str
    at: int
    rows: int
    reasons: tuple[str, ...]
    published: int | None
    """When it became history after all; None while it is held."""
    renamed: Mapping[str, str]
    """The repair: declared columns, and what the delivery calls them."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The rows of a stream that one rule refused, with the first of the values."""

    stream: str
    rule: str
    column: str
    rows: int
    example: str
    allowed: str


def stops(lake: Lake) -> list[Stop]:
    """Every stopped delivery, oldest first; one that was stopped again is told with its last reasons."""
    published = {(batch["stream"], batch["batch"]): batch for batch in lake.rows("batches")}
    stopped = [row for row in lake.rows("verdicts") if row["verdict"] == Verdict.STOP]
    last = reversed(last_attempts(stopped))
    return [_stop(one.stops, published.get((one.stream, one.batch))) for one in last]


def refusals(lake: Lake, streams: Iterable[Stream]) -> list[Refusal]:
    """What row rules refused, by stream, rule and column, the most frequent first."""
    return [refusal for stream in streams for refusal in _refusals(lake, stream.name)]


def _stop(rows: Sequence[Mapping[str, Any]], batch: Mapping[str, Any] | None) -> Stop:
    first = rows[0]
    return Stop(
        batch=first["batch"],
        stream=first["stream"],
        at=first["at"],
        rows=first["rows"],
        reasons=tuple(row["message"] for row in sorted(rows, key=lambda row: str(row["rule"]))),
        published=batch["at"] if batch else None,
        renamed=json.loads(batch["renamed"]) if batch else {},
    )


def _refusals(lake: Lake, stream: str) -> list[Refusal]:
    table = f"quarantine/{stream}"
    if lake.open(table) is None:
        return []
    rows = lake.read(table, columns=["rule", "column", "value", "allowed"])
    grouped = rows.group_by(["rule", "column"], use_threads=False).aggregate(
        [("value", "count"), ("value", "first"), ("allowed", "first")]
    )
    found = [
        Refusal(stream, row["rule"], row["column"], row["value_count"], row["value_first"], row["allowed_first"])
        for row in grouped.to_pylist()
    ]
    return sorted(found, key=lambda refusal: (-refusal.rows, refusal.rule, refusal.column))
