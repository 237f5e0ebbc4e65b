"""The rows that windows are computed from: one int64 vector for each counted event, the same on every path.

    time | id | flags | value of each column                      and of a label view: known | weight

`flags` has a bit for every value column that is not null, then one for every filter that the event passes, and the bit
PRESENT for all but requests that belong to nobody. A text id stands beside the row (its word is 0, or its rank where
rows are only compared). A label view has one row for what counts as absent, and one for every change with the moment
from which it is known and what it adds to the weight.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from sluice.declare.functions import Windowed
from sluice.declare.views import Windows
from sluice.engine.compiled import compiled
from sluice.engine.conditions import Words, passes
from sluice.engine.encode import Ints, Mask, category_codes, integers

Matrix = np.ndarray[tuple[int, int], np.dtype[np.int64]]
TIME, ID, FLAGS, VALUES = 0, 1, 2, 3
"""Places in a row."""
PRESENT = 1 << 62
ALWAYS = int(np.iinfo(np.int64).min)
"""The `known` of what every request may see."""
FOREVER = int(np.iinfo(np.int64).max)
"""The `until` of what is never replaced."""
_BLOCK = 4_096
"""Rows that are laid out at a time: their columns stay in the processor's cache."""


def width(view: Windows) -> int:
    """Words of a row."""
    return VALUES + len(view.value_columns) + (2 if view.label else 0)


def known_word(view: Windows) -> int:
    """The place of the moment from which a label's row is known; -1 in a view whose rows always are."""
    return width(view) - 2 if view.label else -1


def weight_word(view: Windows) -> int:
    """The place of a label row's weight; -1 in a view whose rows weigh one each."""
    return width(view) - 1 if view.label else -1


def value_word(view: Windows, feature: Windowed) -> int:
    """The place of the value that a feature reads; -1 for none."""
    return -1 if feature.column is None else VALUES + view.value_columns.index(feature.column)


def mask(view: Windows, feature: Windowed) -> int:
    """The flags that a row must have to count for a feature."""
    bits = PRESENT
    if feature.column is not None:
        bits |= 1 << view.value_columns.index(feature.column)
    if feature.where is not None:
        bits |= 1 << (len(view.value_columns) + view.conditions.index(feature.where))
    return bits


def columns_of(view: Windows, count: int, values: Words, events: Words) -> tuple[Ints, list[Ints]]:
    """The flags and the value columns of some events as they stand in rows: without nulls, text by its hash.

    `values` are the columns that functions read, `events` those that filters do.
    """
    flags = np.empty(count, np.int64)
    flags.fill(PRESENT)
    columns = []
    for place, name in enumerate(view.value_columns):
        column, valid = values(name)
        flags += valid * (1 << place)
        columns.append(column)
    for place, condition in enumerate(view.conditions, len(view.value_columns)):
        flags += passes(condition, view.stream, events) * (1 << place)
    return flags, columns


def words_of(table: pa.Table) -> Words:
    """The columns of encoded events or requests as whole numbers."""
    return lambda name: _words(table.column(name))


def words_by_name(view: Windows) -> dict[str, int]:
    """The place in a row of each column of a table of rows but for key and id."""
    words = {"time": TIME, "flags": FLAGS, **{name: VALUES + i for i, name in enumerate(view.value_columns)}}
    if view.label:
        words |= {"known": known_word(view), "weight": weight_word(view)}
    return words


def matrix_of(view: Windows, rows: pa.Table, ids: Ints | None = None, places: Ints | None = None) -> Matrix:
    """Rows (from `history.rows` or `vectors.requests_of`) as one matrix; `ids` stand for text ids.

    Each row comes to its place among `places`, or to where it is.
    """
    words = words_by_name(view)
    columns = {word: integers(rows.column(name))[0] for name, word in words.items() if name in rows.column_names}
    if ids is not None:
        columns[ID] = ids
    elif pa.types.is_integer(rows.schema.field("id").type):
        columns[ID] = integers(rows.column("id"))[0]
    matrix: Matrix = np.empty((len(rows), width(view)), np.int64)
    block = np.zeros((width(view), min(_BLOCK, len(rows))), np.int64)
    for begin in range(0, len(rows), _BLOCK):
        end = min(begin + _BLOCK, len(rows))
        for word, column in columns.items():
            block[word, : end - begin] = column[begin:end]
        if places is None:
            matrix[begin:end] = block[:, : end - begin].T
        else:
            _put(matrix, block, places[begin:end])
    return matrix


@compiled
def _put(matrix: Matrix, columns: Matrix, places: Ints) -> None:
    """All words of a row are written at once: the rows of many entities lie far apart."""
    for i in range(len(places)):
        for word in range(len(columns)):
            matrix[places[i], word] = columns[word, i]


def _words(values: pa.ChunkedArray | pa.Array) -> tuple[Ints, Mask]:
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return integers(category_codes(array, ()) if pa.types.is_string(array.type) else array)
