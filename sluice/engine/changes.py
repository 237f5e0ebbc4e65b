"""Which rows of a view a micro-batch takes away and brings, by entity, and what becomes of the entities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.layout import Matrix, matrix_of
from sluice.engine.plan import has_texts
from sluice.engine.tiles import Id, Rows, id_word

_Row = tuple[Id, Id, tuple[int, ...]]


@dataclass(frozen=True)
class Moved:
    """Rows with the entity that each belongs to, as a place among `keys`; sorted by it, then by their words."""

    entity: Ints
    rows: Rows

    def of(self, entity: int) -> Rows:
        """The rows of one entity."""
        begin, end = np.searchsorted(self.entity, [entity, entity + 1]).tolist()
        return Rows(self.rows.matrix[begin:end], None if self.rows.ids is None else self.rows.ids[begin:end])


@dataclass(frozen=True)
class Difference:
    """What changes in a view: the entities in order, the rows that they lose and the rows that they gain."""

    keys: list[Id]
    gone: Moved
    came: Moved


def difference(view: Windows, before: pa.Table, after: pa.Table) -> Difference:
    """How two tables of rows differ, rows of nobody left out."""
    old, new = (table.filter(table.column("key").is_valid()) for table in apart(view, before, after))
    joined = pa.chunked_array([*old.column("key").chunks, *new.column("key").chunks], old.schema.field("key").type)
    coded = joined.combine_chunks().dictionary_encode()
    order = pc.array_sort_indices(coded.dictionary)
    entity = np.argsort(order.to_numpy())[coded.indices.to_numpy(zero_copy_only=False)]
    # in order, because what a store writes one after another then lies on one page
    keys = coded.dictionary.take(order).to_pylist()
    return Difference(keys, _moved(view, old, entity[: len(old)]), _moved(view, new, entity[len(old) :]))


def apart(view: Windows, old: pa.Table, new: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Both tables of rows without those that they have in common."""
    if not len(old):
        return old, new
    held, fresh = Counter(_listed(view, old)), Counter(_listed(view, new))
    return _kept(view, old, held - fresh), _kept(view, new, fresh - held)


def table_rows(view: Windows, table: pa.Table) -> Rows:
    """The rows of a table, in its order, as they are stored."""
    if not has_texts(view):
        return Rows(matrix_of(view, table), None)
    ids = table.column("id").to_pylist()
    return Rows(matrix_of(view, table, np.array([id_word(text) for text in ids], np.int64)), ids)


def _moved(view: Windows, table: pa.Table, entity: Ints) -> Moved:
    rows = table_rows(view, table)
    order = np.lexsort((*rows.matrix.T[::-1], entity))
    ids = None if rows.ids is None else [rows.ids[i] for i in order.tolist()]
    return Moved(entity[order], Rows(rows.matrix[order], ids))


def _kept(view: Windows, table: pa.Table, wanted: Counter[_Row]) -> pa.Table:
    left = Counter(wanted)
    places = []
    for place, row in enumerate(_listed(view, table)):
        if left[row] > 0:
            left[row] -= 1
            places.append(place)
    return table.take(pa.array(places, pa.int64()))


def _listed(view: Windows, table: pa.Table) -> Iterator[_Row]:
    words = matrix_of(view, table, np.zeros(len(table), np.int64))
    if "until" in table.column_names:
        span = [integers(table.column(name))[0] for name in ("known", "until")]
        words = np.column_stack([words, *span])
    columns = (table.column("key").to_pylist(), table.column("id").to_pylist())
    return ((key, identity, tuple(row)) for key, identity, row in zip(*columns, words.tolist(), strict=True))


def without(rows: Rows, gone: Rows) -> Rows:
    """Rows without others, each as often as it is among them."""
    if not len(gone.matrix):
        return rows
    left = Counter(_pairs(gone))
    kept = []
    for place, row in enumerate(_pairs(rows)):
        if left[row] > 0:
            left[row] -= 1
        else:
            kept.append(place)
    return Rows(rows.matrix[kept], None if rows.ids is None else [rows.ids[place] for place in kept])


def together(parts: Sequence[Rows]) -> Rows:
    """Some rows one after another."""
    ids = None if parts[0].ids is None else [text for part in parts for text in part.ids or ()]
    return Rows(np.concatenate([part.matrix for part in parts]), ids)


def _pairs(rows: Rows) -> Iterator[tuple[str, bytes]]:
    texts = rows.ids if rows.ids is not None else [""] * len(rows.matrix)
    return ((text, row.tobytes()) for text, row in zip(texts, _each(rows.matrix), strict=True))


def _each(matrix: Matrix) -> Iterator[Ints]:
    return iter(np.ascontiguousarray(matrix))
