"""Tiles: the exact partial state of one (view, entity, slot), and the slot's rows for windows that end inside it.

A state is a vector of int64 that merges by addition (the first two words by maximum), in any order:

    last time | latest known | weight | number, total of each value column

A chunk is the slot's rows in (time, id) order, one int64 vector each:

    time | known | weight | number, total of each value column          and the ids beside them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson
import pyarrow as pa

from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers

Matrix = np.ndarray[tuple[int, int], np.dtype[np.int64]]
Id = int | str
LAST, KNOWN, WEIGHT, VALUES = 0, 1, 2, 3
"""Places in a state; a row has its time in place of LAST."""


@dataclass(frozen=True)
class Tile:
    """One slot of one entity: `rows` is the chunk, `ids` their ids, `state` what a whole slot adds to a window."""

    slot: int
    state: bytes
    rows: bytes
    ids: bytes


@dataclass(frozen=True)
class Rows:
    """Rows outside a store: a matrix (see the module) and the ids."""

    matrix: Matrix
    ids: list[Id]


def width(view: Windows) -> int:
    """Words of a state and of a row."""
    return VALUES + 2 * len(view.value_columns)


def matrix_of(view: Windows, rows: pa.Table) -> Matrix:
    """The rows of a view (as `history.rows` gives them) as one matrix."""
    matrix = np.empty((len(rows), width(view)), np.int64)
    for place, name in ((LAST, "time"), (KNOWN, "known"), (WEIGHT, "weight")):
        matrix[:, place] = integers(rows.column(name))[0]
    for index, name in enumerate(view.value_columns):
        value, valid = integers(rows.column(name))
        matrix[:, VALUES + 2 * index] = np.where(valid, matrix[:, WEIGHT], 0)
        matrix[:, VALUES + 2 * index + 1] = value
    return matrix


def state_of(matrix: Matrix) -> Matrix:
    """The merged state of rows or of states, as a one-row matrix; the empty one when there are none."""
    if len(matrix) == 0:
        return empty_state(matrix.shape[1])
    merged: Matrix = matrix.sum(axis=0, keepdims=True)
    merged[0, :WEIGHT] = matrix[:, :WEIGHT].max(axis=0)
    return merged


def empty_state(words: int) -> Matrix:
    """The neutral state: it changes nothing that it is merged with."""
    state = np.zeros((1, words), np.int64)
    state[0, :WEIGHT] = np.iinfo(np.int64).min
    return state


def tile(slot: int, rows: Rows) -> Tile:
    """The tile of a slot from its rows, in whatever order they come."""
    words = rows.matrix.tolist()
    order = sorted(range(len(words)), key=lambda i: (words[i][LAST], _comparable(rows.ids[i]), words[i]))
    matrix = rows.matrix[order]
    ids = [rows.ids[i] for i in order]
    return Tile(slot, state_of(matrix).tobytes(), np.ascontiguousarray(matrix).tobytes(), orjson.dumps(ids))


def rows_in(view: Windows, stored: Tile) -> Rows:
    """The rows of a stored tile."""
    matrix = np.frombuffer(stored.rows, np.int64).reshape(-1, width(view))
    return Rows(matrix, orjson.loads(stored.ids))


def build(view: Windows, rows: pa.Table) -> pa.Table:
    """The tiles of many entities at once: `key`, `slot`, `state`, `rows`, `ids`, in (key, slot) order.

    `rows` comes from `history.rows`; rows without key belong to no entity and give no tile.
    """
    present = rows.filter(rows.column("key").is_valid())
    table = present.sort_by([(name, "ascending") for name in ("key", "time", "id", "known", "weight")])
    matrix = matrix_of(view, table)
    slots = matrix[:, LAST] // view.slot
    keys = table.column("key").combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    starts = _starts(keys, slots)
    states = _merged_from(matrix, starts)
    bounds = np.append(starts, len(table))
    ids = table.column("id").to_pylist()
    listed = [orjson.dumps(ids[start:end]) for start, end in pairwise(bounds)]
    return pa.table(
        {
            "key": table.column("key").take(pa.array(starts, pa.int64())),
            "slot": pa.array(slots[starts], pa.int64()),
            "state": _binary(states, np.arange(len(states) + 1)),
            "rows": _binary(matrix, bounds),
            "ids": pa.array(listed, pa.binary()),
        }
    )


def stored_tiles(table: pa.Table) -> Sequence[tuple[Id, Tile]]:
    """The rows of a tile table as (key, tile)."""
    columns = [table.column(name).to_pylist() for name in ("key", "slot", "state", "rows", "ids")]
    return [(key, Tile(*rest)) for key, *rest in zip(*columns, strict=True)]


def _starts(keys: Ints, slots: Ints) -> Ints:
    changes = (np.diff(keys) != 0) | (np.diff(slots) != 0)
    return np.flatnonzero(np.concatenate([np.ones(min(len(keys), 1), bool), changes]))


def _merged_from(matrix: Matrix, starts: np.ndarray) -> Matrix:
    if len(starts) == 0:
        return np.empty((0, matrix.shape[1]), np.int64)
    merged = np.add.reduceat(matrix, starts, axis=0)
    merged[:, :WEIGHT] = np.maximum.reduceat(matrix[:, :WEIGHT], starts, axis=0)
    return merged


def _binary(matrix: Matrix, bounds: np.ndarray) -> pa.Array:
    offsets = (np.asarray(bounds, np.int64) * matrix.shape[1] * 8).astype(np.int64)
    body = pa.py_buffer(np.ascontiguousarray(matrix).tobytes())
    large = pa.Array.from_buffers(pa.large_binary(), len(offsets) - 1, [None, pa.py_buffer(offsets.tobytes()), body])
    return large.cast(pa.binary()) if len(body) < 2**31 else large


def _comparable(identity: Id) -> tuple[int, bytes]:
    return (identity, b"") if isinstance(identity, int) else (0, identity.encode())
