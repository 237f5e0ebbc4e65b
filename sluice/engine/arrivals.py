"""What a view counted at each moment, as far as it had arrived: rows with the span of time in which they were known.

A version of an event stands from its arrival until one of a higher rank arrives, so every version that ever stood is a
row, known from then until then. The rows known at the time of a request are those that `history.rows` gives for what
had arrived by that time; what arrived later decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sluice.declare.operate import AS_SERVED, KnowledgeTime
from sluice.declare.streams import Label
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.history import heard_parents, rows, table_of, taken
from sluice.engine.layout import FOREVER
from sluice.engine.told import changes_of
from sluice.engine.versions import PUT, are_distinct, copy_rank_of, id_codes, parent_of, rank_of, settled, unexpired

ARRIVED = "_arrived"
"""The column that says when encoded events arrived, where that is another moment than that of `_known`."""


class _Stood(NamedTuple):
    """Versions of events that stood for a while, and from when until when; in the order of arrival in their table."""

    events: pa.Table
    since: Ints
    until: Ints

    def take(self, index: Ints) -> _Stood:
        """Some of them."""
        return _Stood(self.events.take(pa.array(index)), self.since[index], self.until[index])


def counted(view: Windows, events: Mapping[str, pa.Table], *, kept: int, knowledge: KnowledgeTime) -> pa.Table:
    """The rows of a view: of everything that is known, or, `as_served`, with the spans that each was known in."""
    return (rows_as_served if knowledge == AS_SERVED else rows)(view, events, kept=kept)


def scored(events: pa.Table, knowledge: KnowledgeTime) -> pa.Table:
    """The events that vectors are about: as they stand, or, `as_served`, as they were told first."""
    return (first_told if knowledge == AS_SERVED else settled)(events)


def rows_as_served(view: Windows, events: Mapping[str, pa.Table], *, kept: int) -> pa.Table:
    """The rows of `history.rows` at any moment, with `known` and `until`: a request counts those known at its time."""
    if view.label is not None:
        return _label_rows(view, view.label, events, kept)
    stood = _stood(unexpired(view, events[view.stream.name]))
    if view.inherits_key:
        stood = _with_key(view, stood, events, kept)
    found = table_of(view, stood.events, {name: stood.events.column(name) for name in view.value_columns})
    return _spanned(found, stood.since, stood.until)


def first_told(events: pa.Table) -> pa.Table:
    """Each event that stands in the end as it was told first: the request that was made about it."""
    stood = _stood(events)
    ids = id_codes(stood.events.column("_id"))
    order = np.lexsort((stood.since, ids))
    begins = np.append(True, ids[order][1:] != ids[order][:-1])[: len(order)]
    remains = np.isin(ids, ids[stood.until == FOREVER])
    return stood.events.take(pa.array(np.sort(order[begins & remains[order]])))


def _spanned(table: pa.Table, since: Ints, until: Ints) -> pa.Table:
    bare = table.drop(["known"]) if "known" in table.column_names else table
    spanned = bare.append_column("known", pa.array(since)).append_column("until", pa.array(until))
    ever = since < until
    return spanned if ever.all() else spanned.filter(pa.array(ever))


def _arrivals(events: pa.Table) -> Ints:
    return integers(events.column(ARRIVED if ARRIVED in events.column_names else "_known"))[0]


def _stood(events: pa.Table) -> _Stood:
    """Every version that stood for a while; what is deleted does not stand."""
    ids, arrived = id_codes(events.column("_id")), _arrivals(events)
    until = np.full(len(ids), FOREVER)
    if not are_distinct(ids):
        until = _succeeded(ids, _levels(*rank_of(events), ids), arrived)
    stands = (integers(events.column("_op"))[0] == PUT) & (arrived < until)
    everything = _Stood(events, arrived, until)
    return everything if stands.all() else everything.take(np.flatnonzero(stands))


def _levels(*parts: np.ndarray) -> Ints:
    """Whole numbers in the order of several columns, the least important first; equal where all are."""
    order = np.lexsort(parts)
    changes = np.logical_or.reduce([part[order][1:] != part[order][:-1] for part in parts])
    levels = np.empty(len(order), np.int64)
    levels[order] = np.cumsum(np.append(0, changes))[: len(order)]
    return levels


def _succeeded(group: Ints, level: Ints, arrived: Ints) -> Ints:
    """Until when each member of a group holds: until a higher level arrives; not at all where one was there already.

    Levels are in the order of their groups.
    """
    order = np.lexsort((level, arrived, group))
    ordered = level[order]
    highest = np.append(-1, np.maximum.accumulate(ordered))[: len(order)]
    held = order[ordered > highest]
    follows = group[held][1:] == group[held][:-1]
    until = np.array(arrived)
    until[held] = np.append(np.where(follows, arrived[held][1:], FOREVER), FOREVER)[: len(held)]
    return until


def _with_key(view: Windows, children: _Stood, events: Mapping[str, pa.Table], kept: int) -> _Stood:
    """Children as long as they have a parent no further than `kept` from their own time, with its entity key."""
    column, stream = parent_of(view.stream)
    parents, times = events[stream.name], integers(children.events.column("_time"))[0]
    child, parent = heard_parents(view, children.events.column(column), times, parents)
    arrived = _arrivals(parents)[parent]
    until = _succeeded(child, _levels(*(part[parent] for part in rank_of(parents)), child), arrived)
    since, until = np.maximum(children.since[child], arrived), np.minimum(children.until[child], until)
    put = integers(parents.column("_op"))[0][parent] == PUT
    near = np.abs(integers(parents.column("_time"))[0][parent] - times[child]) <= kept
    met = put & near & (since < until)
    keys = parents.column(view.of).take(pa.array(parent[met]))
    related = children.events.take(pa.array(child[met])).append_column(view.of, keys)
    return _Stood(related, since[met], until[met])


def _label_rows(view: Windows, label: Label, events: Mapping[str, pa.Table], kept: int) -> pa.Table:
    """The rows of a label's changes, for each version of the events that it is about while that stood."""
    about, told = _stood(unexpired(view, events[label.of.name])), _copies(events[label.told_by.name])
    parts = []
    for layer in _layers(about):
        place, known, weight, value = changes_of(view, label, layer.events, told, kept)
        known = np.maximum(known, layer.since[place])
        found = table_of(view, taken(view, layer.events, place), {label.name: pa.array(value)}, (known, weight))
        parts.append(_spanned(found, known, layer.until[place]))
    return pa.concat_tables(parts)


def _layers(about: _Stood) -> list[_Stood]:
    """Versions divided so that no event has two in one part; the first part is there even if it is empty."""
    ids = id_codes(about.events.column("_id"))
    if are_distinct(ids):
        return [about]
    order = np.argsort(ids, kind="stable")
    begins = np.append(True, ids[order][1:] != ids[order][:-1])
    place = np.arange(len(order))
    layer = np.empty(len(order), np.int64)
    layer[order] = place - np.maximum.accumulate(np.where(begins, place, 0))
    return [about.take(np.flatnonzero(layer == number)) for number in range(int(layer.max()) + 1)]


def _copies(told: pa.Table) -> pa.Table:
    """Of every told version the copy that stood at each moment, with the `_until` of each."""
    ids, arrived = id_codes(told.column("_id")), _arrivals(told)
    until = np.full(len(ids), FOREVER)
    if not are_distinct(ids):
        version = _levels(*rank_of(told), ids)
        until = _succeeded(version, _levels(*copy_rank_of(told), version), arrived)
    known = np.maximum(arrived, integers(told.column("_known"))[0])
    dated = told.set_column(told.schema.get_field_index("_known"), "_known", pa.array(known))
    return dated.append_column("_until", pa.array(until)).filter(pa.array(known < until))
