"""What a pipeline's declaration says of each table: which rows are old at a moment, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sluice.clock import rfc3339
from sluice.declare.durations import duration_text
from sluice.declare.pipeline import Pipeline
from sluice.lake.keeping.retired import floor_of
from sluice.lake.tiles import tile_table

STREAMED = ("events", "silver", "quarantine", "held", "conflicts", "late", "baselines")
"""The tables that each stream has one of: they lose an event together (`retiring`)."""
_ANSWERS = {"predictions": "event_time", "predictions_refused": "known"}
_WATCHED = ("audits", "drift", "performance")
_VECTORS = ("vectors", "vectors_as_served")
_ROWS = ("rows/", "rows_as_served/")


@dataclass(frozen=True)
class Rule:
    """Rows of a table go whose time lies before a moment; `because` says why in words."""

    table: str
    column: str
    before: int
    because: str


def rules(
    pipeline: Pipeline, tables: Collection[str], at: int, floors: Mapping[str, int], since: int | None
) -> list[Rule]:
    """The rules of every table that has one, beside the streams' own.

    `floors` has the event time from which on a stream is whole, `since` that from which on vectors can be computed.
    """
    found = [*_logged(pipeline, at), *_computed(pipeline, floors, since)]
    return [rule for rule in found if rule.table in tables]


def kept(pipeline: Pipeline, stream: str) -> str:
    """How long a stream is kept, in words."""
    retention = pipeline.stream(stream).retention
    return "for ever" if retention is None else f"for {duration_text(int(retention))}"


def of_stream(pipeline: Pipeline, table: str) -> str | None:
    """The stream that a table belongs to; None for a table that is no stream's."""
    kind, _, name = table.partition("/")
    return name if kind in STREAMED and name in {stream.name for stream in pipeline.streams} else None


def _logged(pipeline: Pipeline, at: int) -> list[Rule]:
    found, words = [], pipeline.keeping
    if words.predictions is not None:
        because = f"kept for {duration_text(int(words.predictions))}"
        found += [Rule(table, column, at - int(words.predictions), because) for table, column in _ANSWERS.items()]
    if words.watching is not None:
        because = f"kept for {duration_text(int(words.watching))}"
        found += [Rule(table, "at", at - int(words.watching), because) for table in _WATCHED]
    return found


def _computed(pipeline: Pipeline, floors: Mapping[str, int], since: int | None) -> list[Rule]:
    found = []
    if since is not None:
        because = f"windows reach back to events that are gone before {rfc3339(since)}"
        found += [Rule(table, "event_time", since, because) for table in _VECTORS]
    for view in pipeline.windows:
        floor = floor_of(view, floors)
        if floor is not None:
            because = f"events are gone from before {rfc3339(floor)}"
            found += [Rule(f"{kind}{view.name}", "time", floor, because) for kind in _ROWS]
            found.append(Rule(tile_table(view), "first", floor, because))
    return found
