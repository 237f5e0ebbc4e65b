"""What the tasks of a job leave for each other: tables dealt by id or by entity; and the steps that jobs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.durations import DAY
from sluice.declare.functions import Windowed
from sluice.declare.operate import EVENT_TIME, KnowledgeTime
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.arrivals import counted
from sluice.engine.based import NO_BASES, Bases
from sluice.engine.batch import Column, are_rows, compute
from sluice.engine.build import Opened
from sluice.engine.encode import integers, invalid
from sluice.engine.facts import encoded_schema
from sluice.engine.history import keep
from sluice.engine.shares import part_of
from sluice.engine.vectors import requests_of
from sluice.engine.versions import id_codes
from sluice.lake.buckets import dealt
from sluice.lake.handing import hand_over, handed_over

COUNTED, REQUESTS, BOTH = "counted", "requests", "both"
"""Where rows and requests of a view are left; where each request is a row and each row a request, once for both."""
ALL_DAYS = "all"
"""What the days of a backfill are called that is not divided into ranges."""
_SPREAD = 4
"""Whole numbers lie close together that span at most this many times as many."""


class Dealing(Protocol):
    """A job whose tasks deal tables into parts."""

    @property
    def parts(self) -> int:
        """How many parts there are."""
        ...

    def declared(self) -> Pipeline:
        """The pipeline, loaded where it is needed."""
        ...

    def work(self, *names: object) -> str:
        """A place for what tasks hand to each other."""
        ...


def hand(job: Dealing, table: pa.Table, *names: object, order: str | None = None) -> None:
    """Leave a table in a place; nothing if it has no rows. What numbered tasks leave is read in their order.

    With `order`, a column of times by which a part of it can be read.
    """
    *folder, last = names
    if len(table):
        hand_over(f"{job.work(*folder, f'{last:06}' if isinstance(last, int) else last)}.arrow", table, by=order)


def deal(
    job: Dealing,
    table: pa.Table,
    by: pa.ChunkedArray,
    kind: tuple[str, ...],
    task: int | str,
    *,
    order: str | None = None,
) -> dict[int, int]:
    """Leave the rows of a table in the parts of one of its columns; how many in each. `task` tells tasks apart."""
    found = {}
    for part, some in dealt(table, by, job.parts):
        hand(job, some, *kind, part, task, order=order)
        found[part] = len(some)
    return found


def facts(job: Dealing, kind: str, stream: Stream, part: int) -> pa.Table:
    """The versions of a stream that were left in a part."""
    return handed_over(job.work(kind, stream.name, part)) or encoded_schema(stream).empty_table()


def relate(job: Dealing, place: tuple[str, int]) -> None:
    """Bring every version of each teller of one part to every event that any version of it tells about."""
    stream, part = job.declared().stream(place[0]), place[1]
    if stream.parent is None:
        raise AssertionError(f"{stream} tells about nothing")
    told = facts(job, "facts", stream, part)
    parents = told.column(stream.parent[0])
    tellers, about = id_codes(told.column("_id")), part_of(parents, job.parts)
    parented = ~invalid(parents.combine_chunks())
    for target in range(job.parts):
        mine = np.isin(tellers, tellers[(about == target) & parented])
        hand(job, told.filter(pa.array(mine)), "told", stream.name, target, part)


def related(job: Dealing, part: int) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """The versions of some events by id, and of what tells about them."""
    streams = job.declared().streams
    by_id = {stream.name: facts(job, "facts", stream, part) for stream in streams}
    return by_id, {stream.name: facts(job, "told", stream, part) for stream in streams if stream.parent}


def count_views(
    job: Dealing,
    by_id: Mapping[str, pa.Table],
    about: Mapping[str, pa.Table],
    scored: pa.Table,
    number: int,
    knowledge: KnowledgeTime = EVENT_TIME,
) -> dict[tuple[str, int], int]:
    """Deal the rows and the requests of every view by entity, requests with the `_place` that events may have.

    How many rows of each view went to each part.
    """
    pipeline = job.declared()
    found: dict[tuple[str, int], int] = {}
    for view in pipeline.windows:
        # a view with a key of its own counts each event where it was dealt to; the others where their parent was
        told = view.label is not None or view.inherits_key
        events = {**by_id, **about} if told else by_id
        rows, asked = counted(view, events, kept=keep(pipeline), knowledge=knowledge), requests_of(view, scored)
        if "_place" in scored.column_names:
            asked = asked.append_column("_place", scored.column("_place"))
        alike = "_place" in asked.column_names and view.include_request and are_rows(view, rows, asked)
        kind = BOTH if alike else COUNTED, view.name
        sizes = deal(job, asked if alike else rows, rows.column("key"), kind, number, order="time")
        found |= {(view.name, part): size for part, size in sizes.items()}
        if not alike:
            deal(job, asked, asked.column("key"), (REQUESTS, view.name), number, order="time")
    return found


def values_of(view: Windows, counted: pa.Table, asked: pa.Table, bases: Bases = NO_BASES) -> dict[str, pa.Array]:
    """The values of a view for some requests, as columns."""
    found = compute(view, counted, asked, bases)
    return {name: pa.array(values, mask=~valid) for name, (values, valid) in found.items()}


def deal_values(
    job: Dealing, view: Windows, found: Opened, asked: pa.Table | None, task: str, *, of: str = ALL_DAYS
) -> None:
    """Leave the values of a view for some requests, by the day of these; `of` names a range of days."""
    if asked is not None:
        own = {"_id": asked.column("id"), "time": asked.column("time")}
        values = pa.table({**own, **values_of(view, found.rows, asked, found.bases)})
        deal(job, values, days_of(asked.column("time")), ("values", of, view.name), task, order="time")


def days_of(times: pa.ChunkedArray) -> pa.ChunkedArray:
    """The day of each time, in days since 1970."""
    return pa.chunked_array([pa.array(integers(times)[0] // DAY)])


def aligned(wanted: pa.Array, values: pa.Table | None, view: Windows, by: str) -> dict[str, Column]:
    """A view's values in the order of some ids or places, which `values` names in column `by`."""
    if values is None:
        nothing = {feature.name: pa.array([], _kind(view, feature)) for feature in view.functions}
        values = pa.table({by: wanted.slice(0, 0), **nothing})
    taken = values.take(_places(wanted, values.column(by).combine_chunks()))
    result: dict[str, Column] = {}
    for feature in view.functions:
        column = taken.column(feature.name).combine_chunks().cast(_kind(view, feature))
        numbers = column.fill_null(0).to_numpy(zero_copy_only=False)
        result[f"{view.name}__{feature.name}"] = (numbers, ~invalid(column))
    return result


def _places(wanted: pa.Array, known: pa.Array) -> pa.Array:
    """The place of each wanted value among known ones that differ, null for one that is not there."""
    if not pa.types.is_integer(known.type) or not len(known) or known.null_count or wanted.null_count:
        return pc.index_in(wanted, value_set=known)
    (values, _), (asked, _) = integers(known), integers(wanted)
    low, span = int(values.min()), int(values.max()) - int(values.min()) + 1
    if span > _SPREAD * len(known):
        return pc.index_in(wanted, value_set=known)
    # whole numbers that lie close together are a table of their own, which costs a tenth of a hash
    place = np.full(span, -1)
    place[values - low] = np.arange(len(values))
    inside = (asked >= low) & (asked < low + span)
    found = np.where(inside, place[np.where(inside, asked - low, 0)], -1)
    return pa.array(found, mask=found < 0)


def _kind(view: Windows, feature: Windowed) -> pa.DataType:
    return pa.float64() if view.category(feature) is None else pa.int64()
