"""From what a source sends to typed columns: the canonical form in which parquet, CSV and JSON of one event are equal.

Each column is read as a whole; a value that is no such thing becomes null and is marked, it never raises.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.clock import from_datetime
from sluice.declare.columns import Category, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, decimals

TIME = pa.timestamp("us", "UTC")
_TOLERANCE = 1e-6
_BIGGEST = 2**53


@dataclass(frozen=True)
class Typed:
    """One typed column; `wrong` marks values of another type, `inexact` decimals with more digits than declared."""

    values: pa.Array
    wrong: Mask
    inexact: Mask


def type_columns(stream: Stream, rows: Sequence[dict[str, Any]]) -> dict[str, Typed]:
    """The declared columns of raw rows, in declared order: id columns and time first."""
    return {
        name: type_column(stream, name, [row.get(stream.source(name)) for row in rows]) for name in stream.all_columns
    }


def type_column(stream: Stream, name: str, values: list[Any]) -> Typed:
    """One declared column of a stream from raw values."""
    if name == stream.time:
        return times(values)
    column = stream.columns.get(name)
    if column is None:
        return whole(values) if stream.id_type == "integer" else texts(values)
    return _TYPES[type(column)](values, column)


def silver_type(stream: Stream, name: str) -> pa.DataType:
    """The type that a declared column has in silver."""
    return type_column(stream, name, []).values.type


def times(values: list[Any]) -> Typed:
    """Instants in UTC microseconds from RFC 3339 text (without a zone: UTC) or datetimes."""
    array = _uniform(values)
    if array is not None and pa.types.is_string(array.type):
        for zone in (TIME, pa.timestamp("us")):
            try:
                return _good(array.cast(zone).cast(TIME))
            except pa.ArrowInvalid:
                continue
    return _slowly(values, _instant, TIME)


def whole(values: list[Any]) -> Typed:
    """Whole numbers; 3.0 and "3" are 3."""
    array = _uniform(values)
    if array is not None and pa.types.is_integer(array.type):
        return _good(array)
    return _slowly(values, _integer, pa.int64())


def texts(values: list[Any]) -> Typed:
    """Text; numbers are not."""
    array = _uniform(values)
    if array is not None and pa.types.is_string(array.type):
        return _good(array)
    return _slowly(values, _text, pa.string())


def flags(values: list[Any]) -> Typed:
    """0 or 1, also as false and true; other whole numbers pass the type and fail the range."""
    array = _uniform(values)
    if array is not None and pa.types.is_boolean(array.type):
        return _good(array.cast(pa.int64()))
    return whole(values)


def exact(values: list[Any], column: Decimal) -> Typed:
    """Decimals of the declared scale, rounded half to even when within 1e-6 of one."""
    numbers = _numbers(values)
    floats = np.asarray(numbers.values.fill_null(0).to_numpy(zero_copy_only=False), np.float64)
    missing = np.asarray(numbers.values.is_null().to_numpy(zero_copy_only=False), bool)
    steps = np.rint(floats * 10**column.scale)
    huge = ~(np.abs(steps) < _BIGGEST)
    steps = np.where(huge, 0, steps)
    inexact = ~missing & ~huge & (np.abs(floats - steps / 10**column.scale) > _TOLERANCE)
    # a value beyond exact arithmetic is kept as null and refused as no number of this column
    array = decimals(steps.astype(np.int64), column.scale, missing | huge)
    return Typed(array, numbers.wrong | (huge & ~missing), inexact)


def _numbers(values: list[Any]) -> Typed:
    array = _uniform(values)
    if array is not None and (pa.types.is_floating(array.type) or pa.types.is_integer(array.type)):
        return _good(array.cast(pa.float64(), safe=False))
    return _slowly(values, _float, pa.float64())


_TYPES: dict[type, Callable[[list[Any], Any], Typed]] = {
    Decimal: exact,
    Integer: lambda values, _column: whole(values),
    Flag: lambda values, _column: flags(values),
    Category: lambda values, _column: texts(values),
    Key: lambda values, column: whole(values) if column.type == "integer" else texts(values),
    ForeignKey: lambda values, column: whole(values) if column.to.id_type == "integer" else texts(values),
}


def _uniform(values: list[Any]) -> pa.Array | None:
    """The values as an array if they are all of one kind (or null)."""
    try:
        array = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
    return array


def _good(array: pa.Array) -> Typed:
    none = np.zeros(len(array), bool)
    return Typed(array, none, none)


def _slowly(values: list[Any], read: Callable[[Any], Any], kind: pa.DataType) -> Typed:
    found = [None if value is None else read(value) for value in values]
    wrong = np.array([value is not None and item is None for value, item in zip(values, found, strict=True)], bool)
    return Typed(pa.array(found, kind), wrong, np.zeros(len(values), bool))


def _instant(value: Any) -> int | None:
    if isinstance(value, dt.datetime):
        return from_datetime(value)
    if not isinstance(value, str):
        return None
    try:
        return from_datetime(dt.datetime.fromisoformat(value))
    except (ValueError, OverflowError):
        return None


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    elif isinstance(value, str):
        stripped = value.strip()
        value = int(stripped) if stripped.lstrip("+-").isdecimal() else None
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _float(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def id_of(stream: Stream, typed: dict[str, Typed], digests: Ints, positions: Ints) -> pa.Array:
    """The `_id` of each row: its id column, several joined with their lengths, or hash and position for none."""
    names = stream.id_columns
    if len(names) == 1:
        return typed[names[0]].values
    if not names:
        pairs = zip(digests.view(np.uint64).tolist(), positions.tolist(), strict=True)
        return pa.array([f"{digest:016x}{position:019d}" for digest, position in pairs], pa.string())
    parts = zip(*(typed[name].values.to_pylist() for name in names), strict=True)
    return pa.array(
        [None if None in row else "|".join(f"{len(str(x))}:{x}" for x in row) for row in parts], pa.string()
    )
