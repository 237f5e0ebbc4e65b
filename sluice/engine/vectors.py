"""Vectors: every feature of a pipeline for every request, computed in one place and packed to the bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.operate import EVENT_TIME, KnowledgeTime
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.arrivals import counted
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.batch import Column, compute
from sluice.engine.cores import cores
from sluice.engine.encode import invalid
from sluice.engine.history import keep
from sluice.engine.layout import columns_of, words_of
from sluice.engine.moment import Moment

Values = Mapping[str, Column]


def requests_of(view: Windows, events: pa.Table) -> pa.Table:
    """What a view needs of each request: `key`, `time`, `id`, and its own row where it is included.

    One without key has no flags, so that it counts for nobody.
    """
    columns = {"key": events.column(view.of), "time": events.column("_time"), "id": events.column("_id")}
    if view.include_request:
        flags, own = columns_of(view, len(events), words_of(events), words_of(events))
        flags = np.where(invalid(columns["key"]), 0, flags)
        columns |= {"flags": pa.array(flags)}
        columns |= {name: pa.array(column) for name, column in zip(view.value_columns, own, strict=True)}
    return pa.table(columns)


def vectors(
    pipeline: Pipeline,
    events: Mapping[str, pa.Table],
    requests: pa.Table,
    lookups: Lookups = NOTHING,
    *,
    knowledge: KnowledgeTime = EVENT_TIME,
) -> pa.Table:
    """The vector of every request from the encoded events of every stream: the plainest way to use the engine.

    `events` maps stream names to encoded tables (all versions), `requests` is encoded like the scored stream, `lookups`
    are the as-of tables. With the knowledge `as_served` a vector counts what had arrived by its time and nothing else.
    One row per request in their order: a column for each place of the vector, float64 or int64 codes, null where empty.
    """
    found = windowed(pipeline, pipeline.windows, events, requests, knowledge=knowledge)
    return as_table(pipeline, complete(pipeline, requests, found, lookups))


def windowed(
    pipeline: Pipeline,
    views: Sequence[Windows],
    events: Mapping[str, pa.Table],
    requests: pa.Table,
    *,
    knowledge: KnowledgeTime = EVENT_TIME,
) -> dict[str, Column]:
    """The features of some views for every request, by their names in the vector."""
    kept = keep(pipeline)

    def values_of(view: Windows) -> dict[str, Column]:
        rows = counted(view, events, kept=kept, knowledge=knowledge)
        found = compute(view, rows, requests_of(view, requests))
        return {f"{view.name}__{name}": column for name, column in found.items()}

    with ThreadPoolExecutor(min(cores(len(requests)), len(views))) as threads:
        return {name: column for columns in threads.map(values_of, views) for name, column in columns.items()}


def complete(
    pipeline: Pipeline, requests: pa.Table, windowed: Mapping[str, Column], lookups: Lookups = NOTHING
) -> Values:
    """The windowed values together with what is looked up and the request's own features, in the vector's order."""
    known = {**windowed, **lookups.at(pipeline, requests)}
    moment = Moment(pipeline, requests, known)
    asked = {
        f"{view.name}__{feature.name}": moment.compute(feature)
        for view in pipeline.requests
        for feature in view.features
    }
    everything = {**known, **asked}
    return {feature.name: everything[feature.name] for feature in pipeline.features}


def as_table(pipeline: Pipeline, values: Values) -> pa.Table:
    """Values as an Arrow table with one column for each place of the vector."""
    return pa.table({place.name: _array(*values[place.name]) for place in pipeline.features})


def as_values(pipeline: Pipeline, table: pa.Table) -> Values:
    """The inverse of `as_table`."""
    return {place.name: _column(table.column(place.name), place.kind) for place in pipeline.features}


def pack(pipeline: Pipeline, values: Values) -> list[bytes]:
    """One row of bytes per request: 8-byte little-endian words, then a bitmap with 1 where the word is valid."""
    places = [values[place.name] for place in pipeline.features]
    words = np.stack([np.where(valid, value, value.dtype.type(0)).view(np.int64) for value, valid in places], axis=1)
    bits = np.packbits(np.stack([valid for _, valid in places], axis=1), axis=1, bitorder="little")
    width, tail = words.shape[1] * 8, bits.shape[1]
    body, mask = np.ascontiguousarray(words).tobytes(), bits.tobytes()
    return [body[i * width : (i + 1) * width] + mask[i * tail : (i + 1) * tail] for i in range(len(words))]


def unpack(pipeline: Pipeline, packed: list[bytes]) -> Values:
    """The values of packed rows, bit for bit."""
    places = pipeline.features
    width, tail = len(places) * 8, (len(places) + 7) // 8
    words = np.frombuffer(b"".join(row[:width] for row in packed), np.int64).reshape(len(packed), len(places))
    tails = np.frombuffer(b"".join(row[width:] for row in packed), np.uint8).reshape(len(packed), tail)
    valid = np.unpackbits(tails, axis=1, bitorder="little", count=len(places)).astype(bool)
    result: dict[str, Any] = {}
    for index, place in enumerate(places):
        column = np.ascontiguousarray(words[:, index])
        result[place.name] = (column.view(np.float64) if place.kind == "number" else column, valid[:, index])
    return result


def _array(values: np.ndarray, valid: np.ndarray) -> pa.Array:
    return pa.array(values) if valid.all() else pa.array(values, mask=~valid)


def _column(column: pa.ChunkedArray, kind: str) -> Column:
    array = column.combine_chunks()
    valid = ~np.asarray(array.is_null().to_numpy(zero_copy_only=False), bool)
    target = pa.float64() if kind == "number" else pa.int64()
    return array.cast(target).fill_null(0).to_numpy(zero_copy_only=False), valid
