"""As-of lookups: for each request the row of a table that held at its time, found by bisection in sorted arrays.

The value depends on which rows there are and on nothing else. A table comes encoded (`encode_table`): whole numbers,
codes, and times in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.asof import VALID_FROM, AsOf, AsOfTable
from sluice.declare.columns import Category
from sluice.declare.pipeline import Pipeline
from sluice.engine.batch import Column
from sluice.engine.encode import Ints, Mask, encode_column, integers
from sluice.engine.finalise import quotient
from sluice.engine.moment import Codes
from sluice.errors import DataError


@dataclass(frozen=True, eq=False)
class Lookups:
    """The tables that a pipeline looks things up in: the version of each, and each as-of view over it."""

    versions: Mapping[str, int] = field(default_factory=dict)
    views: Mapping[str, Lookup] = field(default_factory=dict)

    @classmethod
    def of(cls, pipeline: Pipeline, tables: Mapping[str, pa.Table], versions: Mapping[str, int]) -> Lookups:
        """The views of a pipeline over its encoded tables; DataError for a table that cannot be looked up."""
        return cls(dict(versions), {view.name: Lookup.of(view, tables[view.table]) for view in pipeline.lookups})

    def at(self, pipeline: Pipeline, requests: pa.Table) -> dict[str, Column]:
        """Every looked up feature of encoded requests, by its name in the vector."""
        found: dict[str, Column] = {}
        for view in pipeline.lookups:
            if view.name not in self.views:
                raise DataError(
                    f"table {view.table!r} was not given, and view {view.name!r} looks it up",
                    where=f"pipeline {pipeline.name!r}",
                    next_step="pass the tables: sluice.lake.asof.load(lake, pipeline)",
                )
            columns = self.views[view.name].at(requests)
            found |= {f"{view.name}__{name}": column for name, column in columns.items()}
        return found


NOTHING = Lookups()
"""What a pipeline without as-of views looks up."""


@dataclass(frozen=True, eq=False)
class Lookup:
    """One view over one version of its table: the rows sorted by key and time, each (key, time) one word."""

    view: AsOf
    coder: _Coder
    moments: Ints
    """The different `valid_from`, ascending."""
    words: Ints
    valid_from: Ints
    values: Mapping[str, Codes]

    @classmethod
    def of(cls, view: AsOf, table: pa.Table) -> Lookup:
        """The view over an encoded table in any order; DataError when it has two rows for one moment of a key."""
        coder, codes, moments, rank = _placed(view.keys.values(), table)
        words = codes * (len(moments) + 1) + rank + 1
        order = np.argsort(words, kind="stable")
        if (np.diff(words[order]) == 0).any():
            raise _unusable(view, f"two rows of one key have the same {VALID_FROM}")
        if any(table.column(name).null_count for name in (VALID_FROM, *view.keys.values())):
            raise _unusable(view, f"a row has no key or no {VALID_FROM}")
        values = {name: _taken(integers(table.column(name)), order) for name in view.features}
        return cls(view, coder, moments, words[order], moments[rank[order]], values)

    def at(self, requests: pa.Table) -> dict[str, Column]:
        """The view's features for encoded requests."""
        place, held = self._rows(requests)
        return {name: self._column(name, place, held) for name in self.view.features}

    def _rows(self, requests: pa.Table) -> tuple[Ints, Mask]:
        """The row that holds for each request, and whether there is one."""
        time = integers(requests.column("_time"))[0]
        if len(self.words) == 0:
            return np.zeros(len(time), np.int64), np.zeros(len(time), bool)
        codes, known = self.coder.codes([requests.column(name) for name in self.view.keys], len(time))
        first = codes * (len(self.moments) + 1)
        begun = np.searchsorted(self.moments, time - self.view.lag, "right")
        place = np.searchsorted(self.words, first + begun, "right") - 1
        held = known & (place >= 0)
        place = np.where(held, place, 0)
        held &= self.words[place] > first
        if self.view.span is not None:
            held &= time - self.valid_from[place] < self.view.span
        return place, held

    def _column(self, name: str, place: Ints, held: Mask) -> Column:
        values, there = self.values[name]
        if len(values) == 0:
            values, there = np.zeros(1, np.int64), np.zeros(1, bool)
        valid, taken = held & there[place], values[place]
        column = self.view.features[name]
        if isinstance(column, Category):
            return np.where(valid, taken, 0), valid
        return quotient(np.where(valid, taken, 0), np.full(len(taken), 10 ** getattr(column, "scale", 0))), valid


@dataclass(frozen=True, eq=False)
class _Coder:
    """Whole numbers for the keys of a table: one column after the other, each with what came before it."""

    steps: tuple[tuple[_Values, Ints], ...] = ()
    """The values of a column, and the different pairs of a code so far and the place of a value."""

    def codes(self, columns: Iterable[pa.ChunkedArray], count: int) -> tuple[Ints, Mask]:
        """The code of each row's key, and whether the table has it; a null key is none."""
        codes, known = np.zeros(count, np.int64), np.ones(count, bool)
        for (values, pairs), column in zip(self.steps, columns, strict=True):
            place, listed = values.places(column)
            pair = codes * len(values) + place
            codes, found = _find(pairs, pair)
            known &= listed & found
        return codes, known

    def then(self, codes: Ints, column: pa.ChunkedArray) -> tuple[_Coder, Ints]:
        """A coder of one more column, and the codes of the rows it is made from."""
        values = _Values.of(column)
        pairs, codes = np.unique(codes * len(values) + values.places(column)[0], return_inverse=True)
        return _Coder((*self.steps, (values, pairs))), codes


@dataclass(frozen=True, eq=False)
class _Values:
    """The different values of a key column, ready to be found without going through them."""

    numbers: Ints
    texts: Mapping[str, int] | None = None
    """The place of each text; None for a column of whole numbers."""

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> _Values:
        values = pc.unique(column)
        if pa.types.is_string(values.type):
            return cls(np.arange(len(values)), {text: place for place, text in enumerate(values.to_pylist())})
        return cls(np.sort(integers(values)[0]))

    def __len__(self) -> int:
        return len(self.numbers)

    def places(self, column: pa.ChunkedArray) -> tuple[Ints, Mask]:
        """The place of each value, and whether it is one of them."""
        if self.texts is None:
            whole, there = integers(column)
        else:
            coded = column.combine_chunks().dictionary_encode()
            listed = [self.texts.get(text, -1) for text in coded.dictionary.to_pylist()]
            place, there = integers(coded.indices)
            whole = np.array([*listed, -1], np.int64)[place]
        place, found = _find(self.numbers, whole)
        return place, found & there


def _find(ascending: Ints, wanted: Ints) -> tuple[Ints, Mask]:
    """Where each number stands, and whether it is there; `ascending` is not empty."""
    place = np.minimum(np.searchsorted(ascending, wanted), len(ascending) - 1)
    return place, ascending[place] == wanted


def _unusable(view: AsOf, why: str) -> DataError:
    return DataError(
        why, where=f"table {view.table!r}", next_step="write it by `sluice tables load`, which refuses that"
    )


def repeated(keys: Iterable[str], table: pa.Table) -> Mask:
    """Which rows of an encoded table have the key and `valid_from` of another one."""
    _, codes, moments, rank = _placed(keys, table)
    _, which, times = np.unique(codes * (len(moments) + 1) + rank, return_inverse=True, return_counts=True)
    return np.asarray(times[which] > 1, bool)


def encode_table(table: AsOfTable, rows: pa.Table) -> pa.Table:
    """Typed rows as the kernel's whole numbers: keys and values by their declaration, `valid_from` in microseconds."""
    columns = {name: encode_column(rows.column(name), column) for name, column in table.columns.items()}
    return pa.table({VALID_FROM: rows.column(VALID_FROM).cast(pa.int64()), **columns})


def _placed(keys: Iterable[str], table: pa.Table) -> tuple[_Coder, Ints, Ints, Ints]:
    """A coder of the keys with the code of every row, and the different moments with the rank of every row's."""
    coder, codes = _Coder(), np.zeros(len(table), np.int64)
    for name in keys:
        coder, codes = coder.then(codes, table.column(name))
    moments, rank = np.unique(integers(table.column(VALID_FROM))[0], return_inverse=True)
    return coder, codes, moments, rank


def _taken(column: Codes, order: Ints) -> Codes:
    return column[0][order], column[1][order]
