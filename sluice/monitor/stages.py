"""What served vectors knew and what they did not, computed step by step, so that each step has one cause.

    known        the events within K: what was served, or it is a mismatch
    pending      and those known by the request's time that lie beyond K: they had reached us, and were not folded yet
    lateness     and everything else that history has by now: known only later, so that nobody could have known it
    expiry       and what came too late to count: the same, as if no event ever expired

Where two stages differ, the events that the second one adds are why. So the differences of a feature add up to that
between what was served and all there is, each part has exactly one cause, and no event has two.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.operate import AS_SERVED
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.arrivals import ARRIVED
from sluice.engine.asof import Lookups
from sluice.engine.batch import Column
from sluice.engine.encode import Mask, integers
from sluice.engine.layout import ALWAYS
from sluice.engine.vectors import Values, as_values, complete, pack, unpack, vectors, windowed
from sluice.monitor.staleness import Steps

Events = Mapping[str, pa.Table]
_LONG_AGO = 2**61
"""Microseconds by which watermarks are set back so that nothing has come too late."""


@dataclass(frozen=True)
class Seen:
    """Events of every stream, and which of these lie within what the features of some entity keys know."""

    keys: frozenset[str]
    events: Events
    within: Mapping[str, Mask]


def known(pipeline: Pipeline, seen: Sequence[Seen], requests: pa.Table, lookups: Lookups) -> list[bytes]:
    """The packed vectors of requests from the events within K, of each entity key its own."""
    columns: dict[str, Column] = {}
    for part in seen:
        held = {name: events.filter(pa.array(part.within[name])) for name, events in part.events.items()}
        columns |= windowed(pipeline, _views(pipeline, part), held, requests)
    return pack(pipeline, complete(pipeline, requests, columns, lookups))


def with_pending(pipeline: Pipeline, seen: Sequence[Seen], requests: pa.Table, lookups: Lookups) -> list[bytes]:
    """The same from the events within K and, for each request, those that were known by its time."""
    columns: dict[str, Column] = {}
    for part in seen:
        arrived = {name: _arrived(table, part.within[name]) for name, table in part.events.items()}
        columns |= windowed(pipeline, _views(pipeline, part), arrived, requests, knowledge=AS_SERVED)
    return pack(pipeline, complete(pipeline, requests, columns, lookups))


def with_all(pipeline: Pipeline, events: Events, requests: pa.Table, lookups: Lookups) -> list[bytes]:
    """The same from all events."""
    return pack(pipeline, as_values(pipeline, vectors(pipeline, events, requests, lookups)))


def with_expired(pipeline: Pipeline, events: Events, requests: pa.Table, lookups: Lookups) -> list[bytes]:
    """The same from all of these events, as if none had come too late for any view.

    Which copy of a version came first still decides, and how far apart in time an event and what is told about it may
    be is a rule of its own, which stays.
    """
    return with_all(pipeline, {name: _forgiven(table) for name, table in events.items()}, requests, lookups)


def stale(pipeline: Pipeline, stages: Sequence[bytes]) -> dict[str, Steps]:
    """The features of one vector that change between its packed stages, with their steps."""
    if all(left == right for left, right in itertools.pairwise(stages)):
        return {}
    values = unpack(pipeline, list(stages))
    names = [place.name for place in pipeline.features]
    return {name: _steps(values, name) for name in itertools.compress(names, _changes(values, names))}


def _views(pipeline: Pipeline, part: Seen) -> list[Windows]:
    return [view for view in pipeline.windows if view.of in part.keys]


def _steps(values: Values, name: str) -> Steps:
    value, valid = values[name]
    return tuple(one if there else None for one, there in zip(value.tolist(), valid.tolist(), strict=True))


def _changes(values: Values, names: Sequence[str]) -> list[bool]:
    """Which features differ in a bit between stages; all at once, since nearly every vector is stale in some."""
    words = np.stack([values[name][0].view(np.int64) for name in names])
    valid = np.stack([values[name][1] for name in names])
    changed: list[bool] = ((words != words[:, :1]) | (valid != valid[:, :1])).any(axis=1).tolist()
    return changed


def _arrived(events: pa.Table, within: Mask) -> pa.Table:
    """Events that have arrived always, if they are within K, or else when they were known."""
    moment = np.where(within, ALWAYS, integers(events.column("_known"))[0])
    return events.append_column(ARRIVED, pa.array(moment))


def _forgiven(events: pa.Table) -> pa.Table:
    watermark, measured = integers(events.column("_watermark"))
    place = events.schema.get_field_index("_watermark")
    return events.set_column(place, "_watermark", pa.array(watermark - _LONG_AGO, mask=~measured))
