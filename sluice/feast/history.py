"""Published history as the kernel reads it: encoded events by stream, and the rows of each view, each read once."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from sluice.clock import rfc3339
from sluice.declare.asof import AsOf
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.asof import Lookups
from sluice.engine.batch import Column, compute
from sluice.engine.encode import OWN_COLUMNS, encode, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.history import keep, rows
from sluice.engine.vectors import requests_of
from sluice.errors import UserError
from sluice.lake.asof import load
from sluice.lake.keeping.retired import floors, view_since
from sluice.lake.tables import Lake


class History:
    """What one pipeline's published history says at any moment."""

    def __init__(self, lake_uri: str, pipeline: Pipeline) -> None:
        self._lake = Lake(lake_uri, pipeline.name)
        self._pipeline = pipeline
        self._events: dict[str, pa.Table] = {}
        self._rows: dict[str, pa.Table] = {}

    def at_requests(self, view: Windows | AsOf, requests: pa.Table) -> Mapping[str, Column]:
        """A view's values at encoded requests."""
        if isinstance(view, AsOf):
            return self._lookups.views[view.name].at(requests)
        asked = requests_of(view, requests)
        self._refuse_before(view, asked)
        return compute(view, self._counted(view), asked)

    def at_moments(self, view: Windows, keys: pa.Array, times: pa.Array) -> dict[str, Column]:
        """A view's values for entities at moments, without a request: what needs one is null, as it is online."""
        counted = self._counted(view)
        nobody = pa.nulls(len(keys), counted.column("id").type)
        asked = pa.table({"key": keys, "time": times, "id": nobody})
        self._refuse_before(view, asked)
        found = compute(_alone(view), counted, asked)
        return {name: _seen(view, name, column) for name, column in found.items()}

    def _refuse_before(self, view: Windows, asked: pa.Table) -> None:
        """UserError for a moment at which a window would miss events that retention has dropped."""
        since = view_since(view, floors(self._lake, self._pipeline))
        times = integers(asked.column("time"))[0]
        if since is not None and len(times) and times.min() < since:
            raise UserError(
                f"what {view.name!r} was at {rfc3339(int(times.min()))} cannot be computed: events that its windows see"
                " have been dropped",
                where=f"pipeline {self._pipeline.name!r}",
                next_step=f"ask about moments from {rfc3339(since)} on",
            )

    @functools.cached_property
    def _lookups(self) -> Lookups:
        """The newest version of every as-of table, the same for all views."""
        return load(self._lake, self._pipeline)

    def _counted(self, view: Windows) -> pa.Table:
        """The rows of a view."""
        if view.name not in self._rows:
            streams = [view.stream]
            streams += [view.label.told_by] if view.label is not None else []
            streams += [view.stream.parent[1]] if view.stream.parent is not None else []
            events = {stream.name: self._encoded(stream) for stream in streams}
            self._rows[view.name] = rows(view, events, kept=keep(self._pipeline))
        return self._rows[view.name]

    def _encoded(self, stream: Stream) -> pa.Table:
        """A stream's events; none while nothing of a stream beside the scored one has arrived."""
        if stream.name not in self._events:
            table = f"silver/{stream.name}"
            absent = stream is not self._pipeline.events and self._lake.open(table) is None
            columns = list(dict.fromkeys([*OWN_COLUMNS, *stream.columns]))
            self._events[stream.name] = (
                encoded_schema(stream).empty_table()
                if absent
                else encode(self._lake.read(table, columns=columns), stream)
            )
        return self._events[stream.name]


@functools.cache
def _alone(view: Windows) -> Windows:
    """The view without the request's own event."""
    return replace(view, include_request=False)


def _seen(view: Windows, name: str, column: Column) -> Column:
    """A value that counts the request's own event is null without one; the time since the last event is not."""
    needs_request = view.include_request and name in {f.name for f in view.functions if f.counts_request}
    return (column[0], np.zeros(len(column[1]), bool)) if needs_request else column
