"""Landing: the rows of a source file as raw events, each keeping its file's hash and its row number for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.errors import DataError
from sluice.lake.contract import BRONZE
from sluice.lake.typing import times

SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")


@dataclass(frozen=True)
class Part:
    """A piece of a file that one task reads: a row group of parquet (None: all of it) and its first row's number."""

    stream: str
    path: str
    source: str
    group: int | None
    first: int


def source_of(path: Path) -> str:
    """The name of a file as a source: the SHA-256 of its bytes, so that the same file twice is the same source."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return f"file:{digest.hexdigest()}"


def parts(stream: str, path: Path) -> list[Part]:
    """The parts of a file; DataError when it cannot be read at all."""
    if path.suffix not in SUFFIXES:
        raise DataError(f"no reader for {path.suffix!r}", where=str(path), allowed=SUFFIXES)
    source = source_of(path)
    if path.suffix != ".parquet":
        return [Part(stream, str(path), source, None, 0)]
    try:
        metadata = pq.ParquetFile(path).metadata
    except pa.ArrowInvalid as error:
        raise DataError(
            f"not a readable parquet file ({error})", where=str(path), next_step="deliver it again"
        ) from None
    found, first = [], 0
    for group in range(metadata.num_row_groups):
        found.append(Part(stream, str(path), source, group, first))
        first += metadata.row_group(group).num_rows
    return found


def land(pipeline: Pipeline, part: Part, *, batch: str) -> Iterator[tuple[str, pa.Table]]:
    """The raw events of a part by stream: its own, and the label's where the label is a column of the row."""
    stream = pipeline.stream(part.stream)
    label = pipeline.label if pipeline.label.column and pipeline.label.of is stream else None
    position = part.first
    for rows in _tables(part):
        table = rows
        if label is not None:
            table, told = _split(stream, label, rows)
            yield label.told_by.name, _bronze(told, part, position, batch)
        yield stream.name, _bronze(table, part, position, batch)
        position += len(table)


def _tables(part: Part) -> Iterator[pa.Table]:
    if part.group is not None:
        yield from _sliced(pq.ParquetFile(part.path).read_row_group(part.group))
    elif part.path.endswith(".csv"):
        yield from _sliced(pyarrow.csv.read_csv(part.path))
    else:
        yield from _sliced(pyarrow.json.read_json(part.path))


def _sliced(table: pa.Table, rows: int = 65_536) -> Iterator[pa.Table]:
    for first in range(0, len(table), rows):
        yield table.slice(first, rows)


def _split(stream: Stream, label: Label, table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """A table without its label column, and the label's events: the id, the label, and when it is known."""
    column = str(label.column)
    if column not in table.column_names:
        raise DataError(f"the label column {column!r} is missing", where=stream.name, allowed=table.column_names)
    told_by = label.told_by
    moments = times(table.column(stream.source(stream.time)).to_pylist()).values.cast(pa.int64())
    known = pa.compute.add(moments, int(label.known_after)).cast(pa.timestamp("us", "UTC"))
    identity = stream.source(stream.id_columns[0])
    told = pa.table(
        {identity: table.column(identity), told_by.source(told_by.time): known, column: table.column(column)}
    )
    return table.drop_columns([column]), told


def _bronze(table: pa.Table, part: Part, first: int, batch: str) -> pa.Table:
    count = len(table)
    control = {name: table.column(name).to_pylist() for name in ("_revision", "_op") if name in table.column_names}
    payloads = [orjson.dumps(row, default=str) for row in table.drop_columns(list(control)).to_pylist()]
    return pa.table(
        {
            "payload": payloads,
            "source": [part.source] * count,
            "partition": [0] * count,
            "position": range(first, first + count),
            "known": pa.nulls(count, pa.int64()),
            "revision": control.get("_revision", [0] * count),
            "op": [_operation(op) for op in control.get("_op", [0] * count)],
            "batch": [batch] * count,
        },
        schema=BRONZE,
    )


def _operation(value: Any) -> int:
    return int({"put": 0, "delete": 1}.get(value, value))
