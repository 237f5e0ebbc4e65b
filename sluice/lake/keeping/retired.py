"""What retention has taken out of streams: announced, done, and how far, so that the sums close without it.

`retirements` has what was announced, the events of a stream before a moment: from there on it happens. `retired` has
what is done: how many rows of bronze went, by source and partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds

from sluice.declare.keeping import streams_of
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.lake.tables import Lake

RETIREMENTS = pa.schema(
    {
        "retirement": pa.string(),
        "stream": pa.string(),
        "before": pa.int64(),
        "at": pa.int64(),
        "rows": pa.int64(),
        "duplicates": pa.int64(),
    }
)
"""`before` is the moment up to which events go; `rows` are those of bronze, `duplicates` those told as such."""
RETIRED = pa.schema(
    {
        "retirement": pa.string(),
        "stream": pa.string(),
        "at": pa.int64(),
        "source": pa.string(),
        "partition": pa.int32(),
        "first": pa.int64(),
        "last": pa.int64(),
        "rows": pa.int64(),
    }
)


class Gone(NamedTuple):
    """What went of a partition of a source: its first and last position, and how many rows."""

    first: int
    last: int
    rows: int


class Totals(NamedTuple):
    """What went of a stream in all: rows of bronze, and those of them that are duplicates in the sums."""

    rows: int
    duplicates: int


def announced(lake: Lake, stream: str) -> list[dict[str, Any]]:
    """What was announced of a stream, oldest first."""
    rows = lake.rows("retirements", where=ds.field("stream") == stream)
    return sorted(rows, key=lambda row: (row["at"], row["retirement"]))


def unfinished(lake: Lake, stream: str) -> list[dict[str, Any]]:
    """What was announced of a stream and is not done: something died before it was."""
    done = {row["retirement"] for row in lake.rows("retired", where=ds.field("stream") == stream)}
    return [row for row in announced(lake, stream) if row["retirement"] not in done]


def gone(lake: Lake, stream: str) -> Mapping[tuple[str, int], Gone]:
    """What went of each source and partition of a stream."""
    found: dict[tuple[str, int], Gone] = {}
    for row in lake.rows("retired", where=ds.field("stream") == stream):
        mine = Gone(row["first"], row["last"], row["rows"])
        other = found.get((row["source"], row["partition"]), mine._replace(rows=0))
        merged = Gone(min(mine.first, other.first), max(mine.last, other.last), mine.rows + other.rows)
        found[row["source"], row["partition"]] = merged
    return found


def totals(lake: Lake, stream: str) -> Totals:
    """What went of a stream, as far as it is done."""
    left = {row["retirement"] for row in unfinished(lake, stream)}
    done = [row for row in announced(lake, stream) if row["retirement"] not in left]
    return Totals(sum(row["rows"] for row in done), sum(row["duplicates"] for row in done))


def floor(lake: Lake, stream: str) -> int | None:
    """The event time from which on a stream is whole; None for one that has lost nothing."""
    return max((row["before"] for row in announced(lake, stream)), default=None)


def vectors_since(lake: Lake, pipeline: Pipeline) -> int | None:
    """The event time from which on vectors can be computed: every event that a window reaches is still there.

    None while nothing was ever dropped.
    """
    return since_of(pipeline, floors(lake, pipeline))


def floors(lake: Lake, pipeline: Pipeline) -> dict[str, int]:
    """The event time from which on each stream is whole, of those that have lost something."""
    found = {stream.name: floor(lake, stream.name) for stream in pipeline.streams}
    return {name: first for name, first in found.items() if first is not None}


def floor_of(view: Windows, floors: Mapping[str, int]) -> int | None:
    """The event time from which on the rows of a view are whole; None while nothing of it was dropped."""
    return max((floors[one.name] for one in streams_of(view) if one.name in floors), default=None)


def view_since(view: Windows, floors: Mapping[str, int]) -> int | None:
    """The event time from which on the values of a view can be computed; None while nothing of it was dropped."""
    floor = floor_of(view, floors)
    return None if floor is None else floor + view.reach


def since_of(pipeline: Pipeline, floors: Mapping[str, int]) -> int | None:
    """The same, by the event time from which on each stream is whole that has lost something."""
    found = [floors.get(pipeline.events.name), *(view_since(view, floors) for view in pipeline.windows)]
    return max((first for first in found if first is not None), default=None)
