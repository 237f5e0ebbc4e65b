"""From what a source sends to typed columns: the canonical form in which parquet, CSV and JSON of one event are equal.

What a value becomes depends on that value alone. Columns of one kind are read as a whole, which is only a faster way
to the same result; a value that is no such thing becomes null and is marked, it never raises.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.clock import from_datetime
from sluice.declare.columns import Category, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, decimals, integers, invalid
from sluice.errors import UserError
from sluice.lake.rowfiles import plain_values

Raw: TypeAlias = Sequence[Any]
"""Raw values one by one, or a column of a table as an Arrow array."""
TIME = pa.timestamp("us", "UTC")
_TOLERANCE = 1e-6
_EXACT = 2**53
"""Below it every whole number is a float64 of its own."""
_LATEST = {"s": (2**63 - 1) // 10**6, "ms": (2**63 - 1) // 10**3}
"""How far from 1970 a time in such a unit may lie to be one in microseconds."""

_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
_LOCAL = rf"^[12][0-9]{{3}}-[01][0-9]-[0-3][0-9][T ]{_CLOCK}$"
_ZONED = rf"{_LOCAL[:-1]}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
"""Times that Arrow and Python read alike; every other is read by `_instant`."""
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)(?:[.,]([0-9]+))?\s*(?:([Zz])|([+-][0-9]{2}):?([0-9]{2})?)?)?"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_FLAGS = {"true": 1, "false": 0}


@dataclass(frozen=True)
class Typed:
    """One typed column; `wrong` marks values of another type, `inexact` decimals with more digits than declared."""

    values: pa.Array
    wrong: Mask
    inexact: Mask


def type_columns(stream: Stream, rows: Sequence[dict[str, Any]]) -> dict[str, Typed]:
    """The declared columns of raw rows, in declared order: id columns and time first."""
    sources = {name: stream.source(name) for name in stream.all_columns}
    return {name: type_column(stream, name, [row.get(source) for row in rows]) for name, source in sources.items()}


def type_column(stream: Stream, name: str, values: Raw) -> Typed:
    """One declared column of a stream from raw values, or from a column of a table."""
    if name == stream.time:
        return times(values)
    column = stream.columns.get(name)
    if column is None:
        return whole(values) if stream.id_type == "integer" else texts(values)
    return _TYPES[type(column)](values, column)


def silver_type(stream: Stream, name: str) -> pa.DataType:
    """The type that a declared column has in silver."""
    return type_column(stream, name, []).values.type


def in_words(stream: Stream, name: str) -> str:
    """What a value of a declared column is, as a person says it."""
    column = stream.columns.get(name)
    if name == stream.time:
        return "a time such as 2024-01-01T13:00:00Z"
    if isinstance(column, Flag):
        return "0 or 1"
    if isinstance(column, Decimal):
        return f"a number with {column.scale} decimal{'' if column.scale == 1 else 's'}"
    if isinstance(column, Integer):
        return f"a whole number from {column.min} to {column.max}"
    if pa.types.is_integer(silver_type(stream, name)):
        return "a whole number below 2^63"
    return "a text"


def instant(text: str, where: str) -> int:
    """The moment that a person wrote, microseconds; UserError, naming `where`, for another text."""
    typed = times([text])
    if typed.wrong[0]:
        raise UserError(f"{text!r} is no time", where=where, allowed="RFC 3339, such as 2026-01-31T12:00:00Z")
    found: int = typed.values.cast(pa.int64())[0].as_py()
    return found


def times(values: Raw) -> Typed:
    """Instants in UTC microseconds from dates, RFC 3339 text (without a zone: UTC) or datetimes.

    Digits beyond the microsecond are cut off.
    """
    array = _uniform(values)
    if isinstance(values, pa.Array) and pa.types.is_timestamp(values.type):
        return _instants(values)
    if array is not None and pa.types.is_string(array.type):
        for zone, pattern in ((TIME, _ZONED), (pa.timestamp("us"), _LOCAL)):
            if pc.all(pc.match_substring_regex(array, pattern)).as_py():
                try:
                    return _good(array.cast(zone).cast(TIME))
                except pa.ArrowInvalid:  # the 30th of February
                    break
    return _slowly(values, _instant, TIME)


def _instants(values: pa.Array) -> Typed:
    """Timestamps of any unit, of which those that microseconds in 64 bits do not hold are wrong."""
    if values.type.unit == "ns":
        values = pc.floor_temporal(values, unit="microsecond")
    wrong = np.abs(integers(values)[0]) > _LATEST.get(values.type.unit, 2**63 - 1)
    held = pc.if_else(pa.array(wrong), pa.scalar(None, values.type), values) if wrong.any() else values
    return Typed(held.cast(pa.timestamp("us", values.type.tz)).cast(TIME), wrong, np.zeros(len(wrong), bool))


def whole(values: Raw) -> Typed:
    """Whole numbers of 64 bits; 3.0 and "3" are 3, and a float from 2^53 on is no exact one."""
    array = _uniform(values)
    if array is not None and pa.types.is_integer(array.type):
        return _signed(array)
    return _slowly(values, integer, pa.int64())


def texts(values: Raw) -> Typed:
    """Text; numbers are not."""
    array = _uniform(values)
    if array is not None and pa.types.is_string(array.type):
        return _good(array)
    return _slowly(values, _text, pa.string())


def flags(values: Raw) -> Typed:
    """0 or 1, also as false and true; other whole numbers pass the type and fail the range."""
    array = _uniform(values)
    if array is not None and pa.types.is_boolean(array.type):
        return _good(array.cast(pa.int64()))
    if array is not None and pa.types.is_integer(array.type):
        return _signed(array)
    return _slowly(values, _flag, pa.int64())


def exact(values: Raw, column: Decimal) -> Typed:
    """Decimals of the declared scale, rounded half to even when within 1e-6 of one."""
    if isinstance(values, pa.Array) and pa.types.is_decimal(values.type) and values.type.scale <= column.scale:
        fitting = pa.decimal128(18, column.scale)
        if values.type.precision - values.type.scale <= fitting.precision - fitting.scale:
            return _good(values.cast(fitting))
    numbers = _numbers(values)
    missing = invalid(numbers.values)
    floats = np.asarray(numbers.values.fill_null(0) if missing.any() else numbers.values, np.float64)
    with np.errstate(over="ignore"):
        steps = np.rint(floats * 10**column.scale)
    huge = ~(np.abs(steps) < _EXACT)
    if huge.any():
        steps[huge] = 0
    off = np.divide(steps, 10**column.scale)
    inexact = np.abs(np.subtract(floats, off, out=off), out=off) > _TOLERANCE
    inexact &= ~(missing | huge)
    # a value beyond exact arithmetic is kept as null and refused as no number of this column
    array = decimals(steps.astype(np.int64), column.scale, missing | huge)
    return Typed(array, numbers.wrong | (huge & ~missing), inexact)


def _numbers(values: Raw) -> Typed:
    array = _uniform(values)
    # Arrow takes true for 1.0 among floats
    mixed = isinstance(values, list) and bool in set(map(type, values))
    if array is not None and pa.types.is_floating(array.type) and not mixed:
        return _finite(array.cast(pa.float64()))
    if array is not None and pa.types.is_integer(array.type):
        return _good(array.cast(pa.float64(), safe=False))
    return _slowly(values, _float, pa.float64())


_TYPES: dict[type, Callable[[Raw, Any], Typed]] = {
    Decimal: exact,
    Integer: lambda values, _column: whole(values),
    Flag: lambda values, _column: flags(values),
    Category: lambda values, _column: texts(values),
    Key: lambda values, column: whole(values) if column.type == "integer" else texts(values),
    ForeignKey: lambda values, column: whole(values) if column.to.id_type == "integer" else texts(values),
}


def _signed(numbers: pa.Array) -> Typed:
    """Whole numbers of any Arrow type, of which those that 64 bits with a sign do not hold are wrong."""
    if not pa.types.is_uint64(numbers.type):
        return _good(numbers)
    words = numbers.fill_null(0).to_numpy(zero_copy_only=False)
    wrong = np.asarray(words >= 2**63, bool)
    return Typed(pa.array(words.astype(np.int64), mask=wrong | invalid(numbers)), wrong, np.zeros(len(wrong), bool))


def _finite(numbers: pa.Array) -> Typed:
    """Floats, of which those that are no finite number are wrong."""
    wrong = np.asarray(~np.isfinite(numbers.fill_null(0).to_numpy(zero_copy_only=False)), bool)
    if not wrong.any():
        return _good(numbers)
    return Typed(pc.if_else(pa.array(wrong), pa.scalar(None, pa.float64()), numbers), wrong, np.zeros(len(wrong), bool))


def _uniform(values: Raw) -> pa.Array | None:
    """The values as an array if they are all of one kind (or null)."""
    if isinstance(values, pa.Array):
        long_text = pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type)
        return values.cast(pa.string()) if long_text or pa.types.is_dictionary(values.type) else values
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return None


def _good(array: pa.Array) -> Typed:
    none = np.zeros(len(array), bool)
    return Typed(array, none, none)


def _slowly(values: Raw, read: Callable[[Any], Any], kind: pa.DataType) -> Typed:
    # as landing reads them, so that a date, a decimal or bytes of a table are what they are in a file of the lake
    values = plain_values(values) if isinstance(values, pa.Array) else values
    found = [None if value is None else read(value) for value in values]
    wrong = np.array([value is not None and item is None for value, item in zip(values, found, strict=True)], bool)
    return Typed(pa.array(found, kind), wrong, np.zeros(len(values), bool))


def _instant(value: Any) -> int | None:
    if isinstance(value, dt.datetime):
        return from_datetime(value)
    match = _INSTANT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    date, clock, fraction, utc, hours, minutes = match.groups()
    zone = "Z" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    text = f"{date}T{clock or '00:00'}{f'.{fraction[:6]:0<6}' if fraction else ''}{zone}"
    try:
        return from_datetime(dt.datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def integer(value: Any) -> int | None:
    """The whole number that one raw value is, None for any other value."""
    if isinstance(value, str):
        text = value.strip()
        value = int(text) if _INTEGER.fullmatch(text) else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() and abs(value) < _EXACT else None
    whole_number = isinstance(value, int) and not isinstance(value, bool)
    return value if whole_number and -(2**63) <= value < 2**63 else None


def _flag(value: Any) -> int | None:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and value.strip().lower() in _FLAGS:
        return _FLAGS[value.strip().lower()]
    return integer(value)


def _float(value: Any) -> float | None:
    if isinstance(value, str):
        value = value.strip() if _NUMBER.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
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
