"""What became of the events of each stream, as a sum that closes: everything produced is in exactly one place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.history import keep
from sluice.lake.accounts import accounts
from sluice.lake.contract import TOPIC
from sluice.lake.keeping.retired import gone
from sluice.lake.tables import Lake

PLACES = ("silver", "duplicates", "conflicts", "superseded", "held", "waiting", "retired", "erased")
"""Where an event can have gone, beside quarantine."""


def event_figures(lake: Lake, pipeline: Pipeline, stream: Stream, broker_ends: Mapping[str, int]) -> dict[str, Any]:
    """The account of one stream; `late` and `expired` lie within `silver`, as do those of each view.

    A topic that `broker_ends` does not name has had nothing produced to it.
    """
    horizons = {view.name: view.horizon for view in pipeline.windows if view.stream.name == stream.name}
    found = accounts(lake, stream.name, horizon=keep(pipeline), horizons=horizons)
    # files, and replays of their rows; those of topics are in the topic again
    landed = lake.count(f"events/{stream.name}", where=~pc.starts_with(ds.field("source"), TOPIC))
    landed += sum(one.rows for (source, _), one in gone(lake, stream.name).items() if not source.startswith(TOPIC))
    return {
        "stream": stream.name,
        "produced": landed + broker_ends.get(f"{pipeline.name}.{stream.name}", 0),
        **{place: getattr(found, place) for place in PLACES},
        "late": found.late,
        "expired": found.expired,
        "expired_by_view": dict(found.expired_by_view),
        "quarantined": dict(sorted(found.quarantined.items())),
    }


def accounted(event: Mapping[str, Any]) -> int:
    """How many events of an account are in one of its places."""
    return int(sum(event[place] for place in PLACES) + sum(event["quarantined"].values()))


def closes(event: Mapping[str, Any]) -> bool:
    """Whether the places of an account hold exactly what was produced."""
    return bool(event["produced"] == accounted(event))
