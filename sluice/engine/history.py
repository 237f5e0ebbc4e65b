"""What a view counts: from the versions of events to the rows of its windows.

A row is (key, time, id, flags, values), as `layout` says. A label view has one row for what counts as absent and one
for every change that becomes known later, so that the rows known by any moment add up to the label's value at that
moment; count, sum, mean and share are sums of rows, whatever order they come in.

A version that came too late for a view is, for that view, as if it had never come: what stood before it still stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.layout import FOREVER, columns_of, words_of

PUT, DELETE = 0, 1
Changes = tuple[Ints, Ints, Ints, Ints]
"""Of labels: the place of the event, the moment of knowledge, and the weight and value to add to what stood before."""


def keep(pipeline: Pipeline) -> int:
    """How far apart in microseconds an event and what is told about it may be: the longest horizon of the views."""
    return max(view.horizon for view in pipeline.windows)


def settled(events: pa.Table) -> pa.Table:
    """The version of each event that stands: greatest revision, then canonical hash; deleted events are gone.

    Where the same bytes are put and deleted at one revision, the delete stands.
    """
    ids = id_codes(events.column("_id"))
    if not are_distinct(ids):
        order = np.lexsort((*copy_rank_of(events), *rank_of(events), ids))
        events = events.take(pa.array(np.sort(order[_last_of(ids[order])])))
    put = integers(events.column("_op"))[0] == PUT
    return events if put.all() else events.filter(pa.array(put))


def originals(events: pa.Table) -> pa.Table:
    """One copy of each version: of bytes sent again, the copy with the least watermark, then the least known.

    An event without watermark came in a file, before every other.
    """
    ids = id_codes(events.column("_id"))
    if are_distinct(ids):
        return events
    version = (*rank_of(events), ids)
    order = np.lexsort((*copy_rank_of(events), *version))
    return events.take(pa.array(np.sort(order[_last_of(*(part[order] for part in version))])))


def unexpired(view: Windows, events: pa.Table) -> pa.Table:
    """The versions that did not come too late for a view."""
    watermark, measured = integers(events.column("_watermark"))
    late = measured & (integers(events.column("_time"))[0] < watermark - view.horizon)
    return events.filter(pa.array(~late)) if late.any() else events


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


def id_codes(ids: pa.ChunkedArray | pa.Array) -> Ints:
    """Integers that are equal where ids are equal."""
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if pa.types.is_integer(array.type):
        return integers(array)[0]
    return integers(array.dictionary_encode().indices)[0]


def are_distinct(codes: Ints) -> bool:
    """Whether no code occurs twice."""
    return bool((np.diff(codes) > 0).all() or (np.diff(np.sort(codes)) != 0).all())


def _once(codes: Ints) -> Mask:
    """Where a code occurs once."""
    if are_distinct(codes):
        return np.ones(len(codes), bool)
    order = np.argsort(codes, kind="stable")
    ends = _last_of(codes[order])
    once = np.empty(len(codes), bool)
    once[order] = ends & np.append(True, ends[:-1])
    return once


def _last_of(*sorted_codes: Ints) -> Mask:
    """Where a group of equal codes ends."""
    changes = np.logical_or.reduce([codes[1:] != codes[:-1] for codes in sorted_codes])
    return np.append(changes, True)


def rank_of(events: pa.Table) -> Sequence[np.ndarray]:
    """What decides between versions of one event, the least important first."""
    digest = integers(events.column("_hash"))[0].view(np.uint64)
    return integers(events.column("_op"))[0], digest, integers(events.column("_revision"))[0]


def copy_rank_of(events: pa.Table) -> Sequence[np.ndarray]:
    """What decides between copies of one version, the least important first; the first copy comes last."""
    watermark, measured = integers(events.column("_watermark"))
    return -integers(events.column("_known"))[0], -watermark, ~measured


def parent_of(stream: Stream) -> tuple[str, Stream]:
    """The column and the stream of the events that a stream tells about."""
    if stream.parent is None:
        raise AssertionError(f"{stream} has no parent")
    return stream.parent


def _found(wanted: pa.ChunkedArray, ids: pa.ChunkedArray) -> Ints:
    """The place of each id among distinct ids, -1 where it is not."""
    if wanted.null_count == 0 and wanted.equals(ids):
        return np.arange(len(ids))
    place, found = integers(pc.index_in(wanted.combine_chunks(), value_set=ids.combine_chunks()))
    return np.where(found, place, -1)


def _with_key(view: Windows, children: pa.Table, events: Mapping[str, pa.Table], kept: int) -> pa.Table:
    """Children that have a parent no further than `kept` from their own time, with the parent's entity key."""
    column, stream = parent_of(view.stream)
    parents, times = events[stream.name], integers(children.column("_time"))[0]
    child, parent = heard_parents(view, children.column(column), times, parents)
    if not are_distinct(child):
        order = np.lexsort((*(part[parent] for part in rank_of(parents)), child))
        chosen = order[_last_of(child[order])]
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
    watermark, measured = integers(parents.column("_watermark"))
    heard = ~measured[parent] | (times[child] >= watermark[parent] - view.horizon)
    return child[heard], parent[heard]


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
    return table_of(view, about.take(pa.array(place)), {label.name: pa.array(value)}, (known, weight))


def changes_of(view: Windows, label: Label, about: pa.Table, told: pa.Table, kept: int) -> Changes:
    """The changes of the labels of some events, each there once, by what is told.

    Of the copies of a version there is one in `told`, or, each with an `_until` of its own, one at each moment.
    """
    found = _Told(view, label, about, told, kept)
    parts = [found.alone(), found.together()]
    if label.absent is not None:
        everything = np.arange(len(about))
        ones = np.ones(len(about), np.int64)
        times, _ = integers(about.column("_time"))
        parts.insert(0, (everything, times + int(label.after), ones, ones * label.absent))
    place, known, weight, value = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return place, known, weight, value


class _Speech(NamedTuple):
    id: int | str
    rank: tuple[int, int, int]
    time: int
    known: int
    until: int
    watermark: int | None
    place: int
    near: bool
    value: int


class _Told:
    """What the told versions of a label change in the events they are about, and when that becomes known."""

    def __init__(self, view: Windows, label: Label, about: pa.Table, told: pa.Table, kept: int) -> None:
        self._label, self._horizon, self._told = label, view.horizon, told
        self._times = integers(about.column("_time"))[0]
        self._place = _found(told.column(parent_of(label.told_by)[0]), about.column("_id"))
        self._present = self._place >= 0
        self._parent_times = self._times[self._place] if len(self._times) else np.zeros(len(told), np.int64)
        apart = np.abs(self._parent_times - integers(told.column("_time"))[0])
        self._near = self._present & (apart <= kept)
        ends = "_until" in told.column_names
        self._until = integers(told.column("_until"))[0] if ends else np.broadcast_to(np.int64(FOREVER), len(told))
        self._single = _once(id_codes(told.column("_id"))) & (_once(self._place) | ~self._present)

    def alone(self) -> Changes:
        """The changes of versions that are the only one of their event, about an event with no other."""
        told, absent = self._told, self._label.absent
        watermark, measured = integers(told.column("_watermark"))
        late = measured & (self._parent_times < watermark - self._horizon)
        put = integers(told.column("_op"))[0] == PUT
        value = integers(told.column(self._label.name))[0] - (absent or 0)
        changes = (value != 0) if absent is not None else np.ones(len(told), bool)
        here = np.flatnonzero(self._single & self._near & put & ~late & changes)
        weight = np.full(len(here), int(absent is None), np.int64)
        return self._place[here], integers(told.column("_known"))[0][here], weight, value[here]

    def together(self) -> Changes:
        """The changes where several versions speak of one event, or one speaker has several versions."""
        spoken = self._speeches(np.flatnonzero(~self._single))
        speakers: dict[int | str, list[_Speech]] = {}
        places: dict[int, dict[int | str, None]] = {}
        for speech in spoken:
            speakers.setdefault(speech.id, []).append(speech)
            if speech.place >= 0:
                places.setdefault(speech.place, {})[speech.id] = None
        found = [
            (place, *change)
            for place, ids in places.items()
            for change in self._chain(place, [speech for speaker in ids for speech in speakers[speaker]])
        ]
        place, known, weight, value = np.array(found, np.int64).reshape(-1, 4).T
        return place, known, weight, value

    def _chain(self, place: int, speeches: list[_Speech]) -> Iterator[tuple[int, int, int]]:
        """The changes of one event's label in the order they became known."""
        time = int(self._times[place])
        absent = self._label.absent
        nothing = (0, 0) if absent is None else (1, absent)
        before = nothing
        heard = [item for item in speeches if item.watermark is None or time >= item.watermark - self._horizon]
        heard.sort(key=lambda item: item.rank)
        for moment in sorted({item.known for item in heard} | {item.until for item in heard} - {FOREVER}):
            standing = {item.id: item for item in heard if item.known <= moment < item.until}
            after = _latest(place, standing, nothing)
            if after != before:
                yield moment, after[0] - before[0], after[1] - before[1]
            before = after

    def _speeches(self, index: Ints) -> list[_Speech]:
        names = ["_id", "_revision", "_hash", "_op", "_time", "_known", "_watermark", self._label.name]
        facts = self._told.select(names).take(pa.array(index))
        columns = zip(*(column.to_pylist() for column in facts.columns), strict=True)
        more = (column[index].tolist() for column in (self._until, self._place, self._near))
        return [
            _Speech(id_, (revision, digest % 2**64, op), time, known, until, watermark, place, near, value or 0)
            for (id_, revision, digest, op, time, known, watermark, value), until, place, near in zip(
                columns, *more, strict=True
            )
        ]


def _latest(place: int, standing: Mapping[int | str, _Speech], nothing: tuple[int, int]) -> tuple[int, int]:
    about = [item for item in standing.values() if item.place == place and item.near and item.rank[2] == PUT]
    latest = max(about, key=lambda item: (item.time, item.id), default=None)
    return nothing if latest is None else (1, latest.value)


def table_of(
    view: Windows, events: pa.Table, values: Mapping[str, pa.ChunkedArray], change: tuple[Ints, Ints] | None = None
) -> pa.Table:
    """Rows of events; `change` says of a label's from when each is known and what it adds to the weight."""
    who = {"key": events.column(view.of), "time": events.column("_time"), "id": events.column("_id")}
    flags, columns = columns_of(view, len(events), words_of(pa.table(dict(values))), words_of(events))
    named = {name: pa.array(column) for name, column in zip(view.value_columns, columns, strict=True)}
    more = {} if change is None else {"known": pa.array(change[0]), "weight": pa.array(change[1])}
    return pa.table({**who, "flags": pa.array(flags), **named, **more})
