"""Files of rows: parquet, CSV and JSON lines, read so that a row's meaning never depends on the rows around it.

A row is a dictionary of values that JSON can hold; a row that cannot be taken apart stays bytes, and the contract
refuses it by itself.
"""

from __future__ import annotations

import base64
import csv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.errors import DataError, UserError

SUFFIXES = (".parquet", ".csv", ".json", ".jsonl")
CHUNK = 8_192
"""Rows at a time: few enough that Python's garbage collector does not go over them again and again."""
Row: TypeAlias = dict[str, Any] | bytes
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


class Unequal(NamedTuple):
    """A row of a CSV file that has more fields than the header, or fewer."""

    fields: list[str]
    header: list[str]

    @classmethod
    def of(cls, payload: bytes) -> Unequal | None:
        """The row that a payload keeps; None for one that keeps none."""
        try:
            found = orjson.loads(payload) if payload.startswith(b"[[") else None
        except orjson.JSONDecodeError:
            return None
        if not isinstance(found, list) or len(found) != len(cls._fields) or not all(map(_are_texts, found)):
            return None
        return cls(*found) if len(found[0]) != len(found[1]) else None

    @property
    def payload(self) -> bytes:
        """The bytes that are kept of it."""
        return orjson.dumps([self.fields, self.header])

    @property
    def named(self) -> dict[str, str | None]:
        """The fields under the names of the header, as far as both go; an empty one is null."""
        return {name: field or None for name, field in zip(self.header, self.fields, strict=False)}


def _are_texts(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(text, str) for text in found)


def check_named(path: Path) -> None:
    """UserError unless there is a file of that name, and of a kind that is read."""
    if path.is_dir():
        raise UserError(
            "it is a folder, and no Delta table",
            where=str(path),
            allowed="a file of rows: parquet, CSV or JSON lines",
            next_step="name a file in it; sluice ingest takes a Delta table as STREAM=TABLE@VERSION (docs/sources.md)",
        )
    if not path.is_file():
        raise UserError("there is no such file", where=str(path))
    if path.suffix not in SUFFIXES:
        raise UserError(f"no reader for {path.suffix!r}", where=str(path), allowed=SUFFIXES)


def groups(path: Path) -> list[tuple[int | None, int]]:
    """The pieces that a file can be read in, each with its first row's number; a parquet file's are its row groups.

    UserError when there is no such file, DataError when it is none that can be read.
    """
    check_named(path)
    with _readable(path):
        if path.suffix != ".parquet":
            _check_text(path)
        _check_names(path)
        if path.suffix != ".parquet":
            return [(None, 0)]
        metadata = pq.ParquetFile(path).metadata
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    return [(group, sum(sizes[:group])) for group in range(len(sizes))] or [(None, 0)]


def columns_of(path: Path) -> list[str] | None:
    """The names of a file's columns; None for JSON lines, where every row has its own."""
    with _readable(path):
        if path.suffix == ".parquet":
            return list(pq.ParquetFile(path).schema_arrow.names)
        if path.suffix == ".csv":
            with path.open(newline="", encoding="utf-8-sig") as file:
                return next(csv.reader(file, strict=True), [])
    return None


def read(
    path: Path, group: int | None, first: int, *, columns: Sequence[str] | None = None
) -> Iterator[tuple[int, list[Row]]]:
    """The rows of a piece of a file in chunks, each with its first row's number; DataError where the file is damaged.

    With `columns`, parquet reads no others.
    """
    with _readable(path):
        for rows in _parquet(path, group, columns) if path.suffix == ".parquet" else _chunked(_text_rows(path)):
            yield first, rows
            first += len(rows)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, csv.Error, UnicodeDecodeError, OSError) as error:
        raise DataError(
            f"not a readable {path.suffix[1:]} file ({str(error).splitlines()[0]})",
            where=str(path),
            next_step="write it as UTF-8" if isinstance(error, UnicodeDecodeError) else "deliver it again",
        ) from error


def _check_text(path: Path) -> None:
    with path.open("rb") as file:
        beginning = file.read(4096).lstrip()
    if not beginning:
        raise DataError("the file is empty", where=str(path), next_step="deliver it again")
    if path.suffix != ".csv" and _is_array(beginning):
        raise DataError("a JSON array", where=str(path), allowed="JSON lines: one object on each line")


def _is_array(beginning: bytes) -> bool:
    """Whether a file is one array; a list on a line of its own, with others to follow, is a row to be refused."""
    line, _, others = beginning.partition(b"\n")
    return line.startswith(b"[") and not (line.rstrip().endswith(b"]") and others.strip())


def _check_names(path: Path) -> None:
    names = columns_of(path) or []
    if len(set(names)) < len(names):
        raise DataError("two columns have the same name", where=str(path), allowed=sorted(set(names)))
    for separator, called in _SEPARATORS.items() if path.suffix == ".csv" and len(names) == 1 else ():
        if separator in names[0]:
            raise DataError(
                f"one column that contains {separator!r}: is it separated by {called}?",
                where=str(path),
                allowed="CSV that is separated by commas",
                next_step="write it with commas, and a point in decimals",
            )


def _chunked(rows: Iterable[Row]) -> Iterator[list[Row]]:
    every = iter(rows)
    while chunk := list(islice(every, CHUNK)):
        yield chunk


def _text_rows(path: Path) -> Iterator[Row]:
    return _csv(path) if path.suffix == ".csv" else _lines(path)


def _lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        yield from filter(None, map(bytes.strip, file))


def _csv(path: Path) -> Iterator[Row]:
    """Every field as text, typed by the contract alone; an empty one is null."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.reader(file, strict=True)
        names = next(rows, [])
        for fields in rows:
            if len(fields) == len(names):
                yield {name: field or None for name, field in zip(names, fields, strict=True)}
            else:
                yield Unequal(fields, names).payload


def _parquet(path: Path, group: int | None, columns: Sequence[str] | None) -> Iterator[list[Row]]:
    # another value in place of the one that was written is damage too, where the file can tell
    file = pq.ParquetFile(path, page_checksum_verification=True)
    wanted = None if group is None else [group]
    chosen = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
    for batch in file.iter_batches(CHUNK, row_groups=wanted, columns=chosen):
        yield plain_rows(batch)


def plain_rows(batch: pa.RecordBatch) -> list[Row]:
    """The rows of a batch, with values that JSON can hold."""
    values = [plain_values(column) for column in batch.columns]
    return [dict(zip(batch.schema.names, row, strict=True)) for row in zip(*values, strict=True)]


def plain_values(column: pa.Array) -> list[Any]:
    """A column's values as JSON can hold them: times and decimals as their exact text, bytes as their text."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.tz:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    if pa.types.is_temporal(column.type) or pa.types.is_decimal(column.type):
        return list(column.cast(pa.string()).to_pylist())
    if _is_binary(column.type):
        return [bytes_as_text(value) for value in column.to_pylist()]
    if (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) and column.null_count == 0:
        return list(column.to_numpy(zero_copy_only=False).tolist())
    if pa.types.is_nested(column.type):
        return [orjson.loads(orjson.dumps(value, default=str)) for value in column.to_pylist()]
    return list(column.to_pylist())


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def bytes_as_text(value: bytes | None) -> Any:
    """Bytes as the text that they are; other bytes are kept, and are no value of any column."""
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value or b"").decode()}
