"""Rows out of a table: a new version in which files that had some are written again without them.

Files are read one at a time. Older versions still name what was dropped; it is gone when a vacuum has taken them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sluice.engine.encode import Mask, integers
from sluice.lake.files import exchange_files, read_file, staged_files, write_parquet
from sluice.lake.keeping.present import File, files
from sluice.lake.storage import place
from sluice.lake.tables import Lake


class Which(Protocol):
    """Which rows of a table are to go."""

    @property
    def columns(self) -> list[str]:
        """The columns that decide it."""

    def mask(self, rows: pa.Table) -> Mask:
        """Which of some rows go; `rows` has the columns that decide it."""


Change = Callable[[pa.Table, Mask], pa.Table]
"""What becomes of the rows of a file, of which some are meant."""


@dataclass(frozen=True)
class Share:
    """What goes of a table: rows, and about how many bytes they take."""

    rows: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Older:
    """Rows whose time lies before a moment, but for those of entities that are held."""

    column: str
    before: int
    held: Mapping[str, pa.Array]
    """By column, the values whose rows stay."""

    @property
    def columns(self) -> list[str]:
        """The time, and what is held by."""
        return [self.column, *self.held]

    def mask(self, rows: pa.Table) -> Mask:
        """A row without a time stays."""
        times, known = integers(rows.column(self.column).cast(pa.int64()))
        gone = known & (times < self.before)
        for name, values in self.held.items():
            gone &= ~is_in(rows.column(name), values)
        return np.asarray(gone, bool)


@dataclass(frozen=True)
class At:
    """Rows at some places, which are rows of `source`, `partition` and `position`."""

    places: pa.Table
    prefix: str = ""
    """What the names of these columns begin with in the table."""
    stream: str | None = None
    """Only rows of this stream, in a table that has those of several."""

    @property
    def columns(self) -> list[str]:
        """Source, partition and position, as the table calls them."""
        return [*self._place, *([] if self.stream is None else ["stream"])]

    def mask(self, rows: pa.Table) -> Mask:
        """Compared source by source, so that equal positions of two never meet."""
        there = rows.select(self._place)
        mine, theirs = _by_source(self.places), _by_source(there)
        gone = np.zeros(len(rows), bool)
        wanted, asked = (integers(table.column(2))[0] for table in (self.places, there))
        for source, at in theirs.items():
            if source in mine:
                gone[at] = np.isin(asked[at], wanted[mine[source]])
        return gone if self.stream is None else gone & is_in(rows.column("stream"), pa.array([self.stream]))

    @property
    def _place(self) -> list[str]:
        return [f"{self.prefix}{name}" for name in self.places.column_names]


def is_in(column: pa.ChunkedArray, values: pa.Array) -> Mask:
    """Which values of a column are among some."""
    found = pa.compute.is_in(column, value_set=values.cast(column.type))
    return np.asarray(found.to_numpy(zero_copy_only=False), bool)


def share(lake: Lake, table: str, which: Which) -> Share:
    """What goes of a table, with nothing changed."""
    found = [(file.bytes, mask) for file, mask in _touched(lake, table, lake.open(table), which)]
    gone = [int(mask.sum()) for _, mask in found]
    taken = [size * part // len(mask) for part, (size, mask) in zip(gone, found, strict=True)]
    return Share(sum(gone), sum(taken))


def drop(lake: Lake, table: str, which: Which) -> Share:
    """Drop rows of a table in one commit; again, there is nothing to drop. Outage when others were always faster."""
    return rewrite(lake, table, which, _without)


def rewrite(lake: Lake, table: str, which: Which, change: Change) -> Share:
    """Put what `change` makes of the files that have such rows in their place, in one commit; how many there were.

    Outage when others were always faster.
    """
    return lake.commit(table, partial(_changed, lake, table, which, change))


def _without(rows: pa.Table, gone: Mask) -> pa.Table:
    return rows.filter(pa.array(~gone))


def _changed(lake: Lake, table: str, which: Which, change: Change, held: deltalake.DeltaTable | None) -> Share:
    """Commit what becomes of the files that have such rows, as the table is now.

    Every try has a folder of its own, and none is taken away here: a vacuum knows what no version names.
    """
    folder = f"kept-{uuid.uuid4().hex}"
    removed, rows, taken = [], 0, 0
    for number, (file, mask) in enumerate(_touched(lake, table, held, which)):
        gone = int(mask.sum())
        removed.append(file.path)
        rows, taken = rows + gone, taken + file.bytes * gone // len(mask)
        left = change(read_file(f"{lake.uri(table)}/{file.path}"), mask)
        if len(left):
            write_parquet(f"{lake.uri(table)}/{folder}/{number:05}.parquet", [left], left.schema)
    if held is not None and removed:
        exchange_files(held, staged_files(lake.uri(table), folder)[0], removed, [])
    return Share(rows, taken)


def has(lake: Lake, table: str, path: str, which: Which) -> bool:
    """Whether a file below a table has such rows, be it that no version names it; so has one that nobody can read."""
    try:
        return bool(_mask(lake, table, path, which).any())
    except pa.ArrowInvalid:
        return True


def _touched(lake: Lake, table: str, held: deltalake.DeltaTable | None, which: Which) -> Iterator[tuple[File, Mask]]:
    """The files that have rows which go, and which rows."""
    for file in () if held is None else files(held):
        mask = _mask(lake, table, file.path, which)
        if mask.any():
            yield file, mask


def _mask(lake: Lake, table: str, path: str, which: Which) -> Mask:
    filesystem, root = place(lake.uri(table))
    rows = pq.read_table(f"{root}/{path}", columns=which.columns, filesystem=filesystem)
    return which.mask(_with(rows, which.columns))


def _with(rows: pa.Table, columns: list[str]) -> pa.Table:
    """Rows with null in the columns that were declared after their file was written."""
    missing = [name for name in columns if name not in rows.column_names]
    for name in missing:
        rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
    return rows.select(columns)


def _by_source(places: pa.Table) -> dict[tuple[str, int], np.ndarray]:
    """The rows of each source and partition."""
    sources = places.column(0).combine_chunks().dictionary_encode()
    codes, partitions = integers(sources.indices)[0], integers(places.column(1))[0]
    pairs, inverse = np.unique(np.stack([codes, partitions]), axis=1, return_inverse=True)
    order = np.argsort(inverse.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(inverse.ravel(), minlength=pairs.shape[1]))
    parts = np.split(order, ends[:-1]) if len(ends) else []
    names = [(sources.dictionary[code].as_py(), partition) for code, partition in pairs.T.tolist()]
    return dict(zip(names, parts, strict=True))
