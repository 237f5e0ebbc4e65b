"""Plain views at each row's own moment: the newest source row at or before it, within the view's time to live."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from feast.feature_view import DUMMY_ENTITY_ID
from feast.types import Bytes, from_feast_to_pyarrow_type

from sluice.errors import UserError
from sluice.feast.plain.asof import NOBODY, Newest, Part
from sluice.feast.plain.keys import Keys
from sluice.feast.plain.online import lasting
from sluice.feast.plain.sources import Columns, columns_of, instants, open_source, scan

_AT_ONCE = 1_000_000
"""Rows that are sorted together; what is held beside them is one row for each question."""
_NEVER = np.iinfo(np.int64).min


def at_moments(
    view: Any,
    features: Sequence[str],
    frame: pa.Table,
    moments: np.ndarray,
    *,
    repository: Path | None,
    known_only: bool = False,
) -> dict[str, pa.Array]:
    """A view's features for every row of an entity frame, at the row's moment in microseconds."""
    if view.batch_source is None:
        raise UserError("it has no batch source, so it has no history", where=f"view {view.name!r}")
    columns = columns_of(view, features)
    dataset = open_source(view.batch_source, repository)
    types = {column.name: _key_type(column.dtype) for column in _entities(view)}
    called = [view.projection.join_key_map.get(name, name) for name in types]
    keys = Keys(_typed(frame, called, types.values(), "the entity frame"), len(frame))
    newest = Newest(keys.codes, moments, known_only=known_only)
    ttl = lasting(view)
    first = int(moments.min()) - ttl if ttl is not None and len(moments) else None
    last = int(moments.max()) if len(moments) else _NEVER
    where = f"view {view.name!r}, {view.batch_source.name}"
    for table in _gathered(scan(dataset, columns, first=first, last=last, where=where)):
        codes = keys.find(_typed(table, columns.keys, types.values(), where), len(table))
        newest.fold(_part(table, codes, columns, where))
    found = newest.answers(lasting=ttl)
    return {
        feature: pa.nulls(len(frame), dataset.schema.field(column).type)
        if found is None
        else found.column(column).combine_chunks()
        for feature, column in zip(features, columns.features, strict=True)
    }


def latest(tables: Iterable[pa.Table], columns: Columns, where: str) -> pa.Table | None:
    """The newest row of each entity, in no order; None without rows."""
    held: pa.Table | None = None
    for table in _gathered(tables):
        rows = table if held is None else pa.concat_tables([held, table])
        keys = Keys([rows.column(name).combine_chunks() for name in columns.keys], len(rows))
        part = _part(rows, keys.codes, columns, where)
        order = np.lexsort((part.created, part.times, part.codes))
        last = np.flatnonzero(np.append(np.diff(part.codes[order]) != 0, [True]))
        chosen = order[last]
        held = rows.take(pa.array(chosen[part.codes[chosen] != NOBODY]))
    return held


def _entities(view: Any) -> list[Any]:
    return [column for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]


def _key_type(dtype: Any) -> pa.DataType:
    # Feast knows no Arrow type for bytes
    return pa.binary() if dtype == Bytes else from_feast_to_pyarrow_type(dtype)


def _part(table: pa.Table, codes: np.ndarray, columns: Columns, where: str) -> Part:
    times, _ = instants(table.column(columns.time), where=where)
    created = np.full(len(table), _NEVER)
    if columns.created is not None:
        stamps, known = instants(table.column(columns.created), where=where)
        created = np.where(known, stamps, _NEVER)
    return Part(codes, times, created, table.select(list(dict.fromkeys(columns.features))))


def _typed(table: pa.Table, names: Sequence[str], types: Iterable[pa.DataType], where: str) -> list[pa.Array]:
    """Key columns in their entities' types; UserError when one is missing or holds something else."""
    found = []
    for name, kind in zip(names, types, strict=True):
        if name not in table.column_names:
            raise UserError(f"no column {name!r}", where=where, allowed=table.column_names)
        try:
            found.append(pa.chunked_array(table.column(name)).combine_chunks().cast(kind))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UserError(f"column {name!r} holds no keys: {error}", where=where, allowed=str(kind)) from None
    return found


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger parts."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
