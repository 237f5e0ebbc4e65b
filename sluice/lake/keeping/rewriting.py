"""Rows out of a table: a new version in which files that had some are written again without them.

Files are read one at a time. Older versions still name what was dropped; it is gone when a vacuum has taken them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from sluice.engine.encode import Mask, integers
from sluice.lake.files import actions_of, exchange_files, read_file, write_parquet
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
    held = lake.open(table)
    found = [_share(file, _mask(lake, table, file.path, which)) for file in ([] if held is None else files(held))]
    return Share(sum(one.rows for one in found), sum(one.bytes for one in found))


def drop(lake: Lake, table: str, which: Which) -> Share:
    """Drop rows of a table in one commit; again, there is nothing to drop. Outage when others were always faster."""
    return rewrite(lake, table, which, without)


def rewrite(lake: Lake, table: str, which: Which, change: Change) -> Share:
    """Put what `change` makes of the files that have such rows in their place, in one commit; how many there were.

    Outage when others were always faster.
    """
    return lake.commit(table, _Rewriting(lake, table, which, change))


def without(rows: pa.Table, gone: Mask) -> pa.Table:
    """The rows of a file that stay."""
    return rows.filter(pa.array(~gone))


@dataclass(frozen=True)
class _Rewritten:
    """What becomes of a file: how much of it goes, and the one that stands in for it; None where nothing is left."""

    path: str
    gone: Share
    action: AddAction | None


@dataclass
class _Rewriting:
    """Every try of one rewriting: each looks only at the files that the one before did not have, as files never change.

    So a writer that commits all the time does not hold it up. What is written and not named after all is not taken away
    here: a vacuum knows what no version names.
    """

    lake: Lake
    table: str
    which: Which
    change: Change
    _folder: str = field(default_factory=lambda: f"kept-{uuid.uuid4().hex}")
    _known: dict[str, _Rewritten] = field(default_factory=dict)

    def __call__(self, held: deltalake.DeltaTable | None) -> Share:
        """Commit what becomes of the files that have such rows, as the table is now."""
        now = [self._of(file) for file in ([] if held is None else files(held))]
        touched = [one for one in now if one.gone.rows]
        if held is not None and touched:
            written = [one.action for one in touched if one.action is not None]
            exchange_files(held, written, [one.path for one in touched], [])
        return Share(sum(one.gone.rows for one in touched), sum(one.gone.bytes for one in touched))

    def _of(self, file: File) -> _Rewritten:
        if file.path not in self._known:
            mask = _mask(self.lake, self.table, file.path, self.which)
            action = self._written(file, mask) if mask.any() else None
            self._known[file.path] = _Rewritten(file.path, _share(file, mask), action)
        return self._known[file.path]

    def _written(self, file: File, mask: Mask) -> AddAction | None:
        uri, path = self.lake.uri(self.table), f"{self._folder}/{len(self._known):05}.parquet"
        left = self.change(read_file(f"{uri}/{file.path}"), mask)
        if not len(left):
            return None
        write_parquet(f"{uri}/{path}", [left], left.schema)
        return actions_of(uri, [path])[0][0]


def _share(file: File, mask: Mask) -> Share:
    gone = int(mask.sum())
    return Share(gone, file.bytes * gone // max(len(mask), 1))


def has(lake: Lake, table: str, path: str, which: Which) -> bool:
    """Whether a file below a table has such rows, be it that no version names it; so has one that nobody can read."""
    try:
        return bool(_mask(lake, table, path, which).any())
    except pa.ArrowInvalid:
        return True


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
