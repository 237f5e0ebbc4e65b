"""Landing: the rows of a source file as raw events, each keeping its file's name and its row number for ever."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Label, Stream
from sluice.engine.versions import DELETE, PUT
from sluice.errors import DataError
from sluice.lake.contract import BRONZE
from sluice.lake.control import CONTROL, operation, revision
from sluice.lake.rowfiles import Row, columns_of, groups, read
from sluice.lake.snapshots import SOURCE, read_source, snapshot
from sluice.lake.typing import times

Renamed = Mapping[str, Mapping[str, str]]
"""By stream: declared column → its name in this delivery."""


@dataclass(frozen=True)
class Part:
    """A piece of a file that one task reads: a row group of parquet (None: all of it) and its first row's number.

    A Delta table has its data files for pieces; `path` is then the table's, with its version.
    """

    stream: str
    path: str
    source: str
    group: int | None
    first: int
    bytes: int
    """About how much there is to read."""


class _Split(NamedTuple):
    """What the columns are called from which a label's events are made."""

    identity: str
    time: str
    label: str


def source_of(path: Path) -> str:
    """The name of a file as a source: the SHA-256 of its bytes, so that the same file twice is the same source."""
    with path.open("rb") as file:
        return f"file:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def parts(pipeline: Pipeline, stream: Stream, path: Path | str, renamed: Renamed) -> list[Part]:
    """The parts of a file or a Delta table; UserError when it is not there, DataError when it cannot be read.

    So is one that tells no label, where its rows must.
    """
    table = snapshot(str(path))
    if table is not None:
        _check_label(pipeline, stream, table.name, table.columns, renamed)
        return [Part(stream.name, table.name, source, None, 0, size) for source, size in table.sources.items()]
    path = Path(path)
    beginnings = groups(path)
    _check_label(pipeline, stream, str(path), columns_of(path), renamed)
    source, size = source_of(path), path.stat().st_size // len(beginnings)
    return [Part(stream.name, str(path.resolve()), source, group, first, size) for group, first in beginnings]


def told_in(pipeline: Pipeline, stream: Stream) -> Stream | None:
    """The stream in whose rows this one's events are told: the scored events', for a label inside the row."""
    label = pipeline.label
    return label.of if label.column is not None and stream.name == label.told_by.name else None


def land(pipeline: Pipeline, stream: Stream, part: Part, *, batch: str, renamed: Renamed) -> Iterator[pa.Table]:
    """The raw events of a stream in a part of a file, as `BRONZE`, in small chunks.

    `stream` is the part's own, or the label's that its rows tell. A row whose label is still null tells none.
    """
    split = _split(pipeline, renamed)
    told = told_in(pipeline, stream) is not None
    columns = [*split, *CONTROL] if split is not None and told else None
    for first, rows in _rows(part, columns):
        numbered: Iterable[tuple[int, Row]] = enumerate(rows)
        if split is not None and told:
            numbered = _told(pipeline.label, split, rows)
        elif split is not None and stream.name == pipeline.label.of.name:
            numbered = enumerate(_without(row, split.label) for row in rows)
        yield _bronze([(first + index, row) for index, row in numbered], part.source, batch)


def _rows(part: Part, columns: Sequence[str] | None) -> Iterator[tuple[int, list[Row]]]:
    if part.source.startswith(SOURCE):
        return read_source(part.path, part.source, columns=columns)
    return read(Path(part.path), part.group, part.first, columns=columns)


def _split(pipeline: Pipeline, renamed: Renamed) -> _Split | None:
    label, of = pipeline.label, pipeline.label.of
    if label.column is None:
        return None
    mine, told = renamed.get(of.name, {}), renamed.get(label.told_by.name, {})
    identity, time = (mine.get(name, of.source(name)) for name in (of.id_columns[0], of.time))
    return _Split(identity, time, told.get(label.name, label.column))


def _check_label(pipeline: Pipeline, stream: Stream, where: str, named: Sequence[str] | None, renamed: Renamed) -> None:
    split = _split(pipeline, renamed)
    if split is None or named is None or stream.name != pipeline.label.of.name:
        return
    missing = [name for name in split if name not in named]
    if missing:
        raise DataError(
            f"no column {', '.join(map(repr, missing))}, from which the label {pipeline.label.name!r} is told",
            where=where,
            allowed=named,
            next_step=f"deliver it with them, or say what they are called in it: --rename {stream.name}:COLUMN=NAME",
        )


def _told(label: Label, split: _Split, rows: Iterable[Row]) -> Iterator[tuple[int, Row]]:
    """The label's events: the id, the label, and when it is known; a deleted event takes its label with it."""
    told_by = label.told_by
    identity, time = told_by.source(told_by.id_columns[0]), told_by.source(told_by.time)
    found = [parsed(row) for row in rows]
    happened = times([row.get(split.time) if isinstance(row, dict) else None for row in found]).values
    known = pc.add(happened.cast(pa.int64()), int(label.known_after)).cast(happened.type).cast(pa.string())
    for index, (row, moment) in enumerate(zip(found, known.to_pylist(), strict=True)):
        if not isinstance(row, dict):
            yield index, row
        elif row.get(split.label) is not None or operation(row.get("_op")) == DELETE:
            own = {identity: row.get(split.identity), time: moment, split.label: row.get(split.label)}
            yield index, own | {name: row[name] for name in CONTROL if name in row} if _controlled(row) else own


def _without(row: Row, label: str) -> Row:
    found = parsed(row)
    if isinstance(found, dict):
        found.pop(label, None)
    return found


def _bronze(rows: list[tuple[int, Row]], source: str, batch: str) -> pa.Table:
    events = [_event(row) for _, row in rows]
    return pa.table(
        {
            "payload": [payload for payload, _, _ in events],
            "source": [source] * len(rows),
            "partition": [0] * len(rows),
            "position": [position for position, _ in rows],
            "known": pa.nulls(len(rows), pa.int64()),
            "revision": [number for _, number, _ in events],
            "op": [done for _, _, done in events],
            "batch": [batch] * len(rows),
        },
        schema=BRONZE,
    )


def _event(row: Row) -> tuple[bytes, int | None, int | None]:
    """Payload, revision and operation; what cannot be read is null, and stays in the payload for all to see."""
    if isinstance(row, bytes) and not any(f'"{name}"'.encode() in row for name in CONTROL):
        return row, 0, PUT
    found = parsed(row)
    if not isinstance(found, dict):
        return found, 0, PUT
    if not _controlled(found):
        return orjson.dumps(found), 0, PUT
    number, done = revision(found.get("_revision")), operation(found.get("_op"))
    if number is None or done is None:
        return orjson.dumps(found), number, done
    return orjson.dumps({name: value for name, value in found.items() if name not in CONTROL}), number, done


def _controlled(row: dict[str, Any]) -> bool:
    return "_revision" in row or "_op" in row


def parsed(row: Row) -> Row:
    """A row as a dictionary, unless it is text that is no JSON object."""
    if isinstance(row, dict):
        return row
    try:
        found = orjson.loads(row)
    except orjson.JSONDecodeError:
        return row
    return found if isinstance(found, dict) else row
