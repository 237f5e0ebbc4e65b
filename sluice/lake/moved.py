"""What moved between two versions of a table of vectors: which events, which of their values, and by how much.

A label that was not known and now is has not moved: it took its time. Such labels are counted apart.

Versions share the files that nobody wrote anew, so only the others are read: what a repair touched, and not history.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import ALL
from sluice.engine.encode import Mask, integers
from sluice.errors import DataError
from sluice.lake.files import read_file, spans
from sluice.lake.tables import Lake

COUNTS = ("changed", "added", "gone", "labelled")
"""What is counted of vectors between two versions."""
_SELF = ("event_id", "event_time", "segment")
_LABEL = "label"
_NAMED = 3


@dataclass(frozen=True)
class Span:
    """The vectors that are asked about: of events from `first` to before `until`, of one segment or of all."""

    first: int
    until: int
    segment: str = ALL


@dataclass(frozen=True)
class Move:
    """How often a column has another value, and how far the numbers among them moved."""

    changed: int
    mean: float | None
    """The mean distance between two numbers; None where there never were two."""
    greatest: float | None


@dataclass(frozen=True)
class Moved:
    """Vectors by what became of them between two versions, and the columns that changed."""

    changed: int = 0
    added: int = 0
    gone: int = 0
    first: int | None = None
    """The earliest of these events, and the latest."""
    last: int | None = None
    columns: Mapping[str, Move] = field(default_factory=dict)
    labelled: int = 0
    """The vectors in both versions whose label has become known."""

    @property
    def vectors(self) -> int:
        """How many vectors are not what they were."""
        return self.changed + self.added + self.gone

    def as_json(self) -> str:
        """The columns as JSON, as a table keeps them."""
        return json.dumps({name: vars(move) for name, move in self.columns.items()})


def most_moved(columns: Mapping[str, Move]) -> str:
    """The columns that changed most often, each with how far it moved at most, in words."""
    told = [
        f"{name} ({move.changed:,}" + ("" if move.greatest is None else f", by up to {move.greatest:.4g}") + ")"
        for name, move in sorted(columns.items(), key=lambda item: (-item[1].changed, item[0]))[:_NAMED]
    ]
    more = f" and {len(columns) - _NAMED} more" if len(columns) > _NAMED else ""
    return ", ".join(told) + more


def moved(lake: Lake, table: str, before: int, after: int, span: Span) -> Moved:
    """What is not the same in two versions of a table of vectors, in the columns that both have."""
    old, new = (_opened(lake, table, version) for version in (before, after))
    paths = [_paths(one, span) for one in (old, new)]
    sides = [
        _rows(one, sorted(mine - other), span) for one, mine, other in zip((old, new), paths, paths[::-1], strict=True)
    ]
    held, found = sides
    if held is None or found is None:
        return _only(held, found)
    return _compared(held, found)


def _opened(lake: Lake, table: str, version: int) -> deltalake.DeltaTable:
    found = lake.open(table, version)
    if found is None:
        raise DataError(f"there is no table {table}@{version}", where=lake.root)
    return found


def _paths(table: deltalake.DeltaTable, span: Span) -> set[str]:
    """The files in which vectors of a span may lie, by their statistics."""
    return {
        path
        for path, low, high in spans(table, "event_time")
        if low is None or high is None or (low < span.until and high >= span.first)
    }


def _rows(table: deltalake.DeltaTable, paths: Sequence[str], span: Span) -> pa.Table | None:
    parts = [read_file(f"{table.table_uri.rstrip('/')}/{path}") for path in paths]
    if not parts:
        return None
    rows = pa.concat_tables(parts, promote_options="default")
    time = integers(rows.column("event_time"))[0]
    mine = pa.array((time >= span.first) & (time < span.until))
    return rows.filter(mine if span.segment == ALL else pc.and_(mine, pc.equal(rows.column("segment"), span.segment)))


def _only(held: pa.Table | None, found: pa.Table | None) -> Moved:
    there = found if held is None else held
    if there is None or not len(there):
        return Moved()
    count, first, last = len(there), *_ends(there)
    return Moved(added=0 if found is None else count, gone=0 if held is None else count, first=first, last=last)


def _compared(held: pa.Table, found: pa.Table) -> Moved:
    place, stays = integers(pc.index_in(held.column("event_id"), value_set=found.column("event_id")))
    new = np.asarray(pc.invert(pc.is_in(found.column("event_id"), value_set=held.column("event_id"))), bool)
    old, now = held.filter(pa.array(stays)), found.take(pa.array(place[stays]))
    both = {*old.column_names} & {*now.column_names} - {*_SELF}
    other = {name: _differs(old.column(name), now.column(name)) for name in old.column_names if name in both}
    labelled = _labelled(old, now)
    if _LABEL in other:
        other[_LABEL] &= ~labelled
    changed = np.logical_or.reduce([*other.values(), np.zeros(len(old), bool)])
    touched = pa.concat_tables(
        [
            side.select(["event_time"])
            for side in (old.filter(pa.array(changed)), held.filter(pa.array(~stays)), found.filter(pa.array(new)))
        ]
    )
    columns = {name: _move(old.column(name), now.column(name), mask) for name, mask in other.items() if mask.any()}
    first, last = _ends(touched)
    return Moved(
        changed=int(changed.sum()),
        added=int(new.sum()),
        gone=int((~stays).sum()),
        first=first,
        last=last,
        columns=columns,
        labelled=int(labelled.sum()),
    )


def _labelled(old: pa.Table, new: pa.Table) -> Mask:
    """Where a label has become known."""
    if _LABEL not in old.column_names or _LABEL not in new.column_names:
        return np.zeros(len(old), bool)
    was, now = (np.asarray(pc.is_valid(side.column(_LABEL)), bool) for side in (old, new))
    return np.asarray(now & ~was, bool)


def _differs(old: pa.ChunkedArray, new: pa.ChunkedArray) -> Mask:
    """Where two columns of one order differ, in bits: a null is a value of its own, and so is each NaN."""
    left, right = (_bits(side) for side in (old, new))
    same = pc.fill_null(pc.equal(left, right), fill_value=False)
    return np.asarray(pc.invert(pc.or_(same, pc.and_(pc.is_null(left), pc.is_null(right)))), bool)


def _bits(values: pa.ChunkedArray) -> pa.Array:
    array = values.combine_chunks()
    return array.view(pa.int64()) if pa.types.is_float64(array.type) else array


def _move(old: pa.ChunkedArray, new: pa.ChunkedArray, where: Mask) -> Move:
    count = int(where.sum())
    if not (pa.types.is_floating(old.type) or pa.types.is_integer(old.type)):
        return Move(count, None, None)
    sides = [side.filter(pa.array(where)).cast(pa.float64(), safe=False) for side in (old, new)]
    distance = pc.drop_null(pc.abs(pc.subtract(*sides)))
    mean, greatest = pc.mean(distance).as_py(), pc.max(distance).as_py()
    return Move(count, mean, greatest)


def _ends(rows: pa.Table) -> tuple[int | None, int | None]:
    times, _ = integers(rows.column("event_time"))
    return (int(times.min()), int(times.max())) if len(times) else (None, None)
