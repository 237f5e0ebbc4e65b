"""Repairs: refused rows as a person reads and edits them, and as they go back into history.

A row is a JSON object: what was wrong with it under names that begin with `_`, and the columns of its payload. The
former are left out when it goes back, but for `_place`, which says which row it is, and `_revision` and `_op`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.dataset as ds

from sluice.declare.streams import Stream
from sluice.engine.versions import DELETE
from sluice.errors import UserError
from sluice.lake.contract import format_of
from sluice.lake.control import CONTROL, operation, revision
from sluice.lake.decoding import Broken, Schema, decode
from sluice.lake.refused import WAITING, Place, Refused, place_of
from sluice.lake.replays import Mended
from sluice.lake.rowfiles import Unequal
from sluice.lake.tables import Lake
from sluice.wording import command

Controlled = tuple[Refused, tuple[int | None, int | None]]
"""A refused row with the revision and the operation that bronze has of it; null is what nobody could read."""
Edits = Mapping[tuple[str, Place], Mapping[str, Any]]
"""Rows as a person has edited them, by stream and place."""
RAW = "_payload"
"""A payload that is no JSON object, as text."""
_NO_SCHEMAS: Mapping[int, Schema] = MappingProxyType({})
_TOLD = ("_stream", "_place", "_batch", "_state", "_rule", "_column", "_value", "_allowed")
_SENT = 5_000
"""Places that are looked up in bronze in one go."""


@dataclass(frozen=True)
class Repair:
    """What is done to every row: values that columns get, and columns that are called otherwise in them."""

    values: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Declared column → what the rows call it."""

    def check(self, stream: Stream) -> None:
        """UserError for a column that is not declared."""
        for name in {**self.values, **self.renamed}:
            if name not in stream.all_columns:
                raise UserError.unknown("column", name, stream.all_columns, where=stream.name)

    def applied(self, stream: Stream, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row with them."""
        found = dict(row)
        for declared, name in self.renamed.items():
            if name in found:
                found[stream.source(declared)] = found.pop(name)
        return found | {stream.source(name): value for name, value in self.values.items()}


def shown(
    row: Refused,
    control: tuple[int | None, int | None],
    form: str = "json",
    schemas: Mapping[int, Schema] = _NO_SCHEMAS,
) -> dict[str, Any]:
    """A refused row as an object to read and to edit; `form` and `schemas` say how its payload is read.

    A row of a CSV file that is longer or shorter than the header has its fields under their names, as far as they go.
    """
    why = row.stream, row.place, row.batch, row.state, row.rule, row.column, row.value, row.allowed
    columns = _columns(row.payload, form, schemas)
    unequal = Unequal.of(row.payload or b"") if RAW in columns and form == "json" else None
    fields = unequal.named if unequal else {}
    return dict(zip(_TOLD, map(str, why), strict=True)) | _control(*control) | fields | columns


def controlled(lake: Lake, stream: str, rows: Iterable[Refused]) -> Iterator[Controlled]:
    """Refused rows of a stream with what bronze has of them."""
    columns = ["source", "partition", "position", "revision", "op"]
    waiting = iter(rows)
    while some := list(islice(waiting, _SENT)):
        where = ds.field("source").isin(pa.array(sorted({row.place.source for row in some}), pa.string()))
        where &= ds.field("position").isin(pa.array(sorted({row.place.position for row in some}), pa.int64()))
        found = lake.read(f"events/{stream}", columns=columns, where=where).to_pydict()
        held = {Place(*values[:3]): values[3:] for values in zip(*(found[name] for name in columns), strict=True)}
        for row in some:
            yield row, held[row.place]


def edited(path: Path) -> Edits:
    """The rows of a file that a person has edited, JSON lines; UserError for what is no such file or line."""
    found: dict[tuple[str, Place], dict[str, Any]] = {}
    for number, line in enumerate(_lines(path), 1):
        where = f"{path.name}, line {number}"
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UserError(f"no JSON object ({error})", where=where) from None
        if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in _TOLD[:2]):
            raise UserError(
                "no JSON object with a _stream and a _place", where=where, next_step="keep those two of every row"
            )
        if RAW in row:
            raise UserError(
                "the payload is still the text that nobody could read",
                where=where,
                next_step=f"write its columns right and take {RAW!r} away, or leave the line out",
            )
        key = row["_stream"], place_of(row["_place"])
        if key in found:
            raise UserError(f"{row['_place']} of {row['_stream']} is there twice", where=where)
        found[key] = row
    return found


def _lines(path: Path) -> list[bytes]:
    try:
        return path.read_bytes().splitlines()  # of text, what is a line end in Unicode alone would cut values in two
    except OSError as error:
        raise UserError(
            f"it cannot be read: {error.strerror}",
            where=str(path),
            allowed="a file as `sluice quarantine show --out` writes it",
        ) from error


def mended(
    stream: Stream,
    rows: Iterable[Controlled],
    repair: Repair,
    edits: Edits | None,
    renamed: Mapping[str, Mapping[str, str]],
    *,
    reference: str = "PIPELINE",
) -> list[Mended]:
    """Rows of a stream that wait, as they go back: with `edits` those that it has, as it has them.

    `renamed` is by batch what its delivery called the columns; `reference` how the pipeline was named.
    """
    found = []
    for row, control in rows:
        key = stream.name, row.place
        if row.state != WAITING or (edits is not None and key not in edits):
            continue
        if format_of(stream, row.place.source) != "json":
            if edits is not None or repair != Repair() or renamed.get(row.batch):
                raise _bytes_stay(reference, stream, row)
            found.append(_as_it_is(row, control))
        else:
            names = Repair(renamed=renamed.get(row.batch, {}))
            as_it_came = _control(*control) | names.applied(stream, _columns(row.payload))
            told = as_it_came if edits is None else edits[key]
            found.append(_mended(row, repair.applied(stream, told)))
    return found


def _bytes_stay(pipeline: str, stream: Stream, row: Refused) -> UserError:
    place = ["--stream", stream.name, "--place", str(row.place)]
    show = command("quarantine", "show", pipeline, *place, "--out", "rows.jsonl")
    ingest = command("ingest", pipeline, f"{stream.name}=rows.jsonl")
    return UserError(
        f"{row.place} is {stream.format}, and goes back into its topic as it is or not at all",
        where=stream.name,
        next_step=f"{show}, mend it there, and {ingest}",
    )


def _as_it_is(row: Refused, control: tuple[int | None, int | None]) -> Mended:
    return Mended(row.place, row.batch, row.rule, row.column, row.allowed, row.payload, *control)


def _mended(row: Refused, told: Mapping[str, Any]) -> Mended:
    columns = {name: value for name, value in told.items() if name not in {*_TOLD, *CONTROL, RAW}}
    return Mended(
        row.place,
        row.batch,
        row.rule,
        row.column,
        row.allowed,
        row.payload if RAW in told and not columns else orjson.dumps(columns),
        revision(told.get("_revision")),
        operation(told.get("_op")),
    )


def _columns(payload: bytes, form: str = "json", schemas: Mapping[int, Schema] = _NO_SCHEMAS) -> dict[str, Any]:
    found = decode(form, payload or b"", schemas)
    return {RAW: (payload or b"").decode(errors="replace")} if isinstance(found, Broken) else found


def _control(number: int | None, done: int | None) -> dict[str, Any]:
    """Revision and operation where they say anything; what could not be read is there to be mended."""
    told: dict[str, Any] = {}
    if number != 0:
        told["_revision"] = "?" if number is None else number
    if done != 0:
        told["_op"] = "?" if done is None else ("delete" if done == DELETE else "put")
    return told
