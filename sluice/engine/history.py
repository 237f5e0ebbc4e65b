"""What a view counts: from the versions of events to the rows of its windows.

A row is (key, time, id, flags, values), as `layout` says. A label view has one row for what counts as absent and one
for every change that becomes known later, so that the rows known by any moment add up to the label's value at that
moment; count, sum, mean and share are sums of rows, whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.layout import columns_of, words_of
from sluice.engine.told import changes_of
from sluice.engine.versions import (
    PUT,
    are_distinct,
    are_late,
    last_of,
    originals,
    parent_of,
    rank_of,
    settled,
    unexpired,
)


def keep(pipeline: Pipeline) -> int:
    """How far apart in microseconds an event and what is told about it may be: the longest horizon of the views."""
    pipeline.check_computes()
    return max(view.horizon for view in pipeline.windows)


def rows(view: Windows, events: Mapping[str, pa.Table], *, kept: int) -> pa.Table:
    """The rows of a view from the encoded versions of its streams' events; expired and orphaned events give none.

    `events` maps stream names to encoded tables. `kept` is `keep(pipeline)`: further apart in time, an event and what
    is told about it no longer belong together.
    """
    if view.label is not None:
        return _label_rows(view, view.label, events, kept)
    mine = settled(unexpired(view, events[view.stream.name]))
    if view.inherits_key:
        mine = _with_key(view, mine, events, kept)
    return table_of(view, mine, {name: mine.column(name) for name in view.value_columns})


def no_events(view: Windows) -> dict[str, pa.Table]:
    """Of each stream that a view reads a table without events."""
    streams = [view.stream, *([view.stream.parent[1]] if view.stream.parent else [])]
    if view.label is not None:
        streams = [view.label.of, view.label.told_by]
    return {stream.name: encoded_schema(stream).empty_table() for stream in streams}


def _with_key(view: Windows, children: pa.Table, events: Mapping[str, pa.Table], kept: int) -> pa.Table:
    """Children that have a parent no further than `kept` from their own time, with the parent's entity key."""
    column, stream = parent_of(view.stream)
    parents, times = events[stream.name], integers(children.column("_time"))[0]
    child, parent = heard_parents(view, children.column(column), times, parents)
    if not are_distinct(child):
        order = np.lexsort((*(part[parent] for part in rank_of(parents)), child))
        chosen = order[last_of(child[order])]
        child, parent = child[chosen], parent[chosen]
    put = integers(parents.column("_op"))[0][parent] == PUT
    near = np.abs(integers(parents.column("_time"))[0][parent] - times[child]) <= kept
    keys = parents.column(view.of).take(pa.array(parent[put & near]))
    return children.take(pa.array(child[put & near])).append_column(view.of, keys)


def heard_parents(view: Windows, wanted: pa.ChunkedArray, times: Ints, parents: pa.Table) -> tuple[Ints, Ints]:
    """The places of children and of the versions of their parents, but for those that came too late for the child.

    `wanted` are the ids that children name and `times` the children's own; pairs are in the order of the children.
    """
    child, parent = _pairs(wanted, parents.column("_id"))
    late = are_late(view, parents.select(["_watermark"]).take(pa.array(parent)), times[child])
    return child[~late], parent[~late]


def _pairs(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """The places of every pair of equal values, in the order of the left ones; null equals nothing."""
    known = pc.unique(right)
    wanted, found = integers(pc.index_in(left.combine_chunks(), value_set=known, skip_nulls=True))
    codes = integers(pc.index_in(right.combine_chunks(), value_set=known))[0]
    order = np.argsort(codes, kind="stable")
    first, stop = (np.searchsorted(codes[order], wanted, side) for side in ("left", "right"))
    many = np.where(found, stop - first, 0)
    place = np.repeat(first - (np.cumsum(many) - many), many) + np.arange(many.sum())
    return np.repeat(np.arange(len(wanted)), many), order[place]


def _label_rows(view: Windows, label: Label, events: Mapping[str, pa.Table], kept: int) -> pa.Table:
    about = settled(unexpired(view, events[label.of.name]))
    place, known, weight, value = changes_of(view, label, about, originals(events[label.told_by.name]), kept)
    return table_of(view, taken(view, about, place), {label.name: pa.array(value)}, (known, weight))


def taken(view: Windows, events: pa.Table, places: Ints) -> pa.Table:
    """Some events, with the columns that their rows are made of."""
    names = {view.of, "_time", "_id", *(name for condition in view.conditions for name in condition.columns)}
    return events.select(sorted(names)).take(pa.array(places))


def table_of(
    view: Windows, events: pa.Table, values: Mapping[str, pa.ChunkedArray], change: tuple[Ints, Ints] | None = None
) -> pa.Table:
    """Rows of events; `change` says of a label's from when each is known and what it adds to the weight."""
    who = {"key": events.column(view.of), "time": events.column("_time"), "id": events.column("_id")}
    flags, columns = columns_of(view, len(events), words_of(pa.table(dict(values))), words_of(events))
    named = {name: pa.array(column) for name, column in zip(view.value_columns, columns, strict=True)}
    more = {} if change is None else {"known": pa.array(change[0]), "weight": pa.array(change[1])}
    return pa.table({**who, "flags": pa.array(flags), **named, **more})
