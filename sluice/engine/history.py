"""What a view counts: from the versions of events to the rows of its windows.

A row is (key, time, id, known, weight, values). A plain event is one row of weight 1. A label view has one row for what
counts as absent and one for every change that becomes known later, so that the rows known by any moment add up to the
label's value at that moment; count, sum, mean and share are sums of rows, whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask, integers

PUT, DELETE = 0, 1
ALWAYS = np.iinfo(np.int64).min
"""The `known` of rows that every request may see (those of plain events)."""


def keep(pipeline: Pipeline) -> int:
    """Microseconds for which an event can still be the parent of another: the longest horizon of the views."""
    return max(view.horizon for view in pipeline.windows)


def settled(events: pa.Table) -> pa.Table:
    """The version of each event that stands: greatest revision, then greatest canonical hash; deleted ones are gone."""
    if len(events) == 0:
        return events
    standing = events.take(pa.array(_standing(events)))
    return standing.filter(pc.equal(standing.column("_op"), PUT))


def rows(view: Windows, events: Mapping[str, pa.Table], *, kept: int) -> pa.Table:
    """The rows of a view from the encoded versions of its streams' events; expired and orphaned events give none.

    `events` maps stream names to encoded tables. `kept` is `keep(pipeline)`: a parent older than that no longer counts.
    """
    if view.label is not None:
        return _label_rows(view, view.label, events, kept)
    stream = view.stream
    mine = _unexpired(settled(events[stream.name]), view, "_time")
    if view.inherits_key:
        mine = _with_parent(mine, stream, settled(_parents(stream, events)), [view.of], kept)
    values = {name: mine.column(name) for name in view.value_columns}
    return _table(view, mine.column(view.of), mine.column("_time"), mine.column("_id"), values)


def empty_rows(view: Windows, id_type: pa.DataType) -> pa.Table:
    """A table of rows without any."""
    key = pa.string() if view.key.type == "text" else pa.int64()
    values = dict.fromkeys(view.value_columns, pa.array([], pa.int64()))
    return _table(view, pa.array([], key), pa.array([], pa.int64()), pa.array([], id_type), values)


def _standing(events: pa.Table) -> np.ndarray:
    revision, _ = integers(events.column("_revision"))
    digest, _ = integers(events.column("_hash"))
    order = np.lexsort((digest.view(np.uint64), revision, id_codes(events.column("_id"))))
    codes = id_codes(events.column("_id"))[order]
    last = np.append(codes[1:] != codes[:-1], True)
    return np.sort(order[last])


def id_codes(ids: pa.ChunkedArray | pa.Array) -> Ints:
    """Integers that are equal where ids are equal."""
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if pa.types.is_integer(array.type):
        return integers(array)[0]
    return integers(array.dictionary_encode().indices)[0]


def _parents(stream: Stream, events: Mapping[str, pa.Table]) -> pa.Table:
    parent = stream.parent
    if parent is None:
        raise AssertionError(f"{stream} has no parent")
    return events[parent[1].name]


def _unexpired(events: pa.Table, view: Windows, time: str) -> pa.Table:
    watermark, measured = integers(events.column("_watermark"))
    times, _ = integers(events.column(time))
    return events.filter(pa.array(~measured | (times >= watermark - view.horizon)))


def _with_parent(children: pa.Table, stream: Stream, parents: pa.Table, columns: Iterable[str], kept: int) -> pa.Table:
    """Children that have a parent no older than `kept`, with the parent's columns (time and id as `parent_…`)."""
    column = stream.parent[0] if stream.parent else ""
    at = pc.index_in(children.column(column).combine_chunks(), value_set=parents.column("_id").combine_chunks())
    found = children.filter(at.is_valid())
    taken = parents.take(at.drop_null())
    for name in columns:
        found = found.append_column(name, taken.column(name))
    found = found.append_column("parent_time", taken.column("_time")).append_column("parent_id", taken.column("_id"))
    reach = np.subtract(integers(found.column("_time"))[0], kept)
    return found.filter(pa.array(integers(found.column("parent_time"))[0] >= reach))


def _label_rows(view: Windows, label: Label, events: Mapping[str, pa.Table], kept: int) -> pa.Table:
    parents = settled(events[label.of.name])
    told = _with_parent(events[label.told_by.name], label.told_by, parents, [view.of], kept)
    told = _unexpired(told, view, "parent_time")
    changes = _changes(told, view, label)
    if label.absent is None:
        return changes
    base = _unexpired(parents, view, "_time")
    times, _ = integers(base.column("_time"))
    absent = _table(
        view,
        base.column(view.of),
        base.column("_time"),
        base.column("_id"),
        {label.name: pa.array(np.full(len(base), label.absent, np.int64))},
        known=times + int(label.after),
    )
    return pa.concat_tables([absent, changes])


def _changes(told: pa.Table, view: Windows, label: Label) -> pa.Table:
    """What each told version changes at the moment it becomes known: (weight, value) to add to what stood before."""
    parent = id_codes(told.column("parent_id"))
    _, place, times_told = np.unique(parent, return_inverse=True, return_counts=True)
    single = times_told[place] == 1
    value, _ = integers(told.column(label.name))
    put = integers(told.column("_op"))[0] == PUT
    weight, delta = _first_change(value, put, label.absent)
    index = np.flatnonzero(single & ((weight != 0) | (delta != 0)))
    chains = [(index, weight[index], delta[index])]
    chains += [_chain(told.take(pa.array(group)), group, label) for group in _groups(parent, np.flatnonzero(~single))]
    chosen, weights, deltas = (np.concatenate(parts) for parts in zip(*chains, strict=True))
    facts = told.take(pa.array(chosen))
    return _table(
        view,
        facts.column(view.of),
        facts.column("parent_time"),
        facts.column("parent_id"),
        {label.name: pa.array(deltas, pa.int64())},
        known=integers(facts.column("_known"))[0],
        weight=weights,
    )


def _first_change(value: Ints, put: Mask, absent: int | None) -> tuple[Ints, Ints]:
    if absent is None:
        return put.astype(np.int64), np.where(put, value, 0)
    return np.zeros(len(value), np.int64), np.where(put, value - absent, 0)


def _groups(codes: Ints, index: Ints) -> list[Ints]:
    if len(index) == 0:
        return []
    order = index[np.argsort(codes[index], kind="stable")]
    return list(np.split(order, np.flatnonzero(np.diff(codes[order])) + 1))


def _chain(told: pa.Table, index: Ints, label: Label) -> tuple[Ints, Ints, Ints]:
    """The changes of one event's label, when several versions speak of it, in the order they became known."""
    facts = told.select(["_known", "_time", "_id", "_revision", "_hash", "_op", label.name]).to_pylist()
    order = sorted(
        range(len(facts)), key=lambda i: (facts[i]["_known"], facts[i]["_revision"], _unsigned(facts[i]["_hash"]))
    )
    picked, weights, deltas = [], [], []
    before = (0, 0) if label.absent is None else (1, label.absent)
    standing = before
    versions: dict[object, dict[str, int]] = {}
    for place in order:
        fact = facts[place]
        held = versions.get(fact["_id"])
        if held is None or _rank(fact) > _rank(held):
            versions[fact["_id"]] = fact
        present = [item for item in versions.values() if item["_op"] == PUT]
        latest = max(present, key=lambda item: (item["_time"], item["_id"])) if present else None
        after = before if latest is None else (1, latest[label.name])
        if after != standing:
            picked.append(index[place])
            weights.append(after[0] - standing[0])
            deltas.append(after[1] - standing[1])
            standing = after
    return np.array(picked, np.int64), np.array(weights, np.int64), np.array(deltas, np.int64)


def _rank(fact: Mapping[str, int]) -> tuple[int, int]:
    return fact["_revision"], _unsigned(fact["_hash"])


def _unsigned(value: int) -> int:
    return value % 2**64


def _table(
    view: Windows,
    key: pa.ChunkedArray,
    time: pa.ChunkedArray,
    ids: pa.ChunkedArray,
    values: Mapping[str, pa.ChunkedArray],
    *,
    known: Ints | None = None,
    weight: Ints | None = None,
) -> pa.Table:
    ones = np.ones(len(time), np.int64)
    always = np.full(len(time), ALWAYS)
    return pa.table(
        {
            "key": key,
            "time": time,
            "id": ids,
            "known": pa.array(always if known is None else known, pa.int64()),
            "weight": pa.array(ones if weight is None else weight, pa.int64()),
            **{name: values[name] for name in view.value_columns},
        }
    )
