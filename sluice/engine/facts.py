"""Facts: versions of events as the store keeps them, and as the kernel's encoded tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
import pyarrow as pa

from sluice.declare.columns import Column, ForeignKey, Key
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.store import Fact

_OWN_TYPES = {
    "_time": pa.int64(),
    "_revision": pa.int32(),
    "_op": pa.int8(),
    "_hash": pa.int64(),
    "_known": pa.int64(),
    "_watermark": pa.int64(),
}


def encoded_schema(stream: Stream) -> pa.Schema:
    """The schema of a stream's encoded events."""
    columns = {name: column_type(column) for name, column in stream.columns.items()}
    return pa.schema({"_id": id_type(stream), **_OWN_TYPES, **columns})


def id_type(stream: Stream) -> pa.DataType:
    """The type of a stream's ids; those of a stream without ids are text."""
    return pa.int64() if stream.id_type == "integer" and stream.id_columns else pa.string()


def column_type(column: Column) -> pa.DataType:
    """The encoded type of a column: its own for keys, int64 for everything else."""
    if isinstance(column, ForeignKey):
        return id_type(column.to)
    if isinstance(column, Key):
        return pa.string() if column.type == "text" else pa.int64()
    return pa.int64()


def to_facts(stream: Stream, events: pa.Table) -> list[Fact]:
    """One fact for each encoded event; one that names no parent (a delete may) is anchored at its own id."""
    ids = events.column("_id").to_pylist()
    anchors = ids if stream.parent is None else events.column(stream.parent[0]).to_pylist()
    own = [events.column(name).to_pylist() for name in ("_revision", "_hash", "_op", "_time", "_known", "_watermark")]
    bodies = zip(*(events.column(name).to_pylist() for name in stream.columns), strict=True)
    return [
        Fact(id_ if anchor is None else anchor, stream.name, id_, revision, hash_, op, time, known, mark, body)
        for id_, anchor, revision, hash_, op, time, known, mark, body in zip(
            ids, anchors, *own, map(orjson.dumps, bodies), strict=True
        )
    ]


def to_tables(pipeline: Pipeline, facts: Iterable[Fact]) -> Mapping[str, pa.Table]:
    """Encoded tables of every stream of a pipeline from its facts."""
    by_stream: dict[str, list[Fact]] = {stream.name: [] for stream in pipeline.streams}
    for fact in facts:
        by_stream[fact.stream].append(fact)
    return {stream.name: _table(stream, by_stream[stream.name]) for stream in pipeline.streams}


def _table(stream: Stream, facts: list[Fact]) -> pa.Table:
    schema = encoded_schema(stream)
    own = [
        [f.id for f in facts],
        [f.time for f in facts],
        [f.revision for f in facts],
        [f.op for f in facts],
        [f.hash for f in facts],
        [f.known for f in facts],
        [f.watermark for f in facts],
    ]
    bodies = [orjson.loads(f.values) for f in facts]
    columns = [[body[index] for body in bodies] for index in range(len(stream.columns))]
    arrays = [pa.array(values, field.type) for values, field in zip([*own, *columns], schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)
