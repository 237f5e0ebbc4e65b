"""Requests as Feast users pass them, typed by the same code as history; a value that is not allowed is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.declare.asof import AsOf
from sluice.declare.columns import Category, Column, Decimal, Key
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import ViewFeature
from sluice.declare.views import Request, Windows
from sluice.engine.encode import Mask, encode_column, integers, invalid
from sluice.engine.facts import id_type
from sluice.errors import UserError
from sluice.lake.typing import id_of, times, type_column


def columns_of(pipeline: Pipeline, view: Windows | AsOf | Request) -> tuple[str, ...]:
    """The declared columns of a request that a view computes with, besides its time."""
    if isinstance(view, AsOf):
        return tuple(view.keys)
    if isinstance(view, Windows):
        included = (view.of, *view.request_columns) if view.include_request else ()
        return tuple(dict.fromkeys((*pipeline.events.id_columns, *included)))
    own = [leaf for feature in view.features for leaf in feature.leaves if isinstance(leaf, str)]
    others = [name for source in sources_of(pipeline, view) for name in columns_of(pipeline, source)]
    return tuple(dict.fromkeys((*own, *others)))


def asked_of(pipeline: Pipeline, view: Windows | AsOf | Request) -> tuple[str, ...]:
    """The columns that a caller passes as request data: all but the entity keys, which Feast passes as such."""
    return (pipeline.events.time, *(name for name in columns_of(pipeline, view) if name not in pipeline.keys))


def sources_of(pipeline: Pipeline, view: Request) -> tuple[Windows | AsOf, ...]:
    """The windowed and the as-of views that a request view stands on."""
    sources: list[Windows | AsOf] = [*pipeline.windows, *pipeline.lookups]
    by_name = {source.name: source for source in sources}
    leaves = [leaf for feature in view.features for leaf in feature.leaves]
    return tuple(dict.fromkeys(by_name[item.view] for item in leaves if isinstance(item, ViewFeature)))


def read_times(pipeline: Pipeline, values: Sequence[Any]) -> pa.Array:
    """Event times in microseconds; datetimes are refused, because Feast has cut them to whole seconds by now."""
    name, where = pipeline.events.time, _where(pipeline, pipeline.events.time)
    cut = [isinstance(value, dt.datetime) for value in values]
    if any(cut):
        raise UserError(
            "Feast keeps whole seconds of a datetime", where=where, next_step=f"pass {name} as text: t.isoformat()"
        )
    typed = times(list(values))
    _refuse(typed.wrong, values, "is no time", where, "RFC 3339 text, such as 2026-01-31T12:00:00.000001Z")
    _refuse(invalid(typed.values), values, "is missing", where, "a time; the view without _at reads it from the clock")
    return typed.values.cast(pa.int64())


def encode_requests(pipeline: Pipeline, columns: Mapping[str, Sequence[Any]], time: pa.Array) -> pa.Table:
    """Encoded requests with `_id`, `_time` and the given columns; UserError names the first value that is refused."""
    stream = pipeline.events
    typed = {name: type_column(stream, name, list(values)) for name, values in columns.items()}
    for name, item in typed.items():
        where = _where(pipeline, name)
        allowed = _allowed(stream.columns.get(name))
        _refuse(item.wrong, columns[name], "has another type", where, allowed)
        _refuse(item.inexact, columns[name], "has more digits than are declared", where, allowed)
    ids = pa.nulls(len(time), id_type(stream))
    if all(name in typed for name in stream.id_columns):
        nothing = np.empty(0, np.int64)
        ids = id_of(stream, typed, nothing, nothing).cast(id_type(stream))
    encoded = {
        name: encode_column(item.values, stream.columns[name]) for name, item in typed.items() if name in stream.columns
    }
    for name, array in encoded.items():
        _check_column(pipeline, name, columns[name], array)
    return pa.table({"_id": ids, "_time": time, **encoded})


def encode_keys(pipeline: Pipeline, name: str, values: Sequence[Any]) -> pa.Array:
    """Entity keys in their declared type; null ones stay null."""
    typed = type_column(pipeline.events, name, list(values))
    _refuse(typed.wrong, values, "is no key", _where(pipeline, name), _allowed(pipeline.events.columns[name]))
    return typed.values


def _check_column(pipeline: Pipeline, name: str, values: Sequence[Any], encoded: pa.Array) -> None:
    column, where = pipeline.events.columns[name], _where(pipeline, name)
    allowed = _allowed(column)
    missing = np.array([value is None for value in values], bool)
    if not column.nullable:
        _refuse(missing, values, "is missing", where, allowed)
    if column.categories:
        _refuse(invalid(encoded) & ~missing, values, "is no category", where, allowed)
    if column.bounds is not None:
        number, valid = integers(encoded)
        step = 10**column.scale if isinstance(column, Decimal) else 1
        low, high = (bound * step for bound in column.bounds)
        _refuse(valid & ((number < low) | (number > high)), values, "is out of range", where, allowed)


def _refuse(bad: Mask, values: Sequence[Any], why: str, where: str, allowed: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise UserError(f"{values[row]!r} in row {row} {why}", where=where, allowed=allowed)


def _where(pipeline: Pipeline, name: str) -> str:
    return f"request of {pipeline.name!r}, column {name!r}"


def _allowed(column: Column | None) -> str:
    if column is None:
        return "an id of the declared type"
    if column.bounds is not None:
        low, high = column.bounds
        return f"{low} to {high}" + (f" with {column.scale} digits" if isinstance(column, Decimal) else "")
    if isinstance(column, Category):
        return ", ".join(column.categories) or "text"
    return "a whole number" if isinstance(column, Key) and column.type == "integer" else "text"
