"""Merging the rows of a micro-batch into those of many entities at once."""

from __future__ import annotations

import numpy as np

from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints
from sluice.engine.layout import Matrix

_HEADER = 3


@compiled
def _order(left: Matrix, i: int, right: Matrix, j: int) -> int:
    """Which of two rows comes first, by all of their words: -1, 0 or 1."""
    for word in range(left.shape[1]):
        if left[i, word] != right[j, word]:
            return -1 if left[i, word] < right[j, word] else 1
    return 0


@compiled
def merge(
    held: Matrix, held_bounds: Ints, gone: Matrix, gone_bounds: Ints, came: Matrix, came_bounds: Ints
) -> tuple[Matrix, Ints, Ints]:
    """The rows of each entity without those that are gone and with those that came, all of them in order.

    Bounds say where each entity's rows begin, and where the last one's end. Also the bounds of the result, and where
    each of its rows was: in `held`, or after it in `came`.
    """
    merged = np.empty((len(held) + len(came), held.shape[1]), np.int64)
    source = np.empty(len(held) + len(came), np.int64)
    bounds = np.zeros(len(held_bounds), np.int64)
    size = 0
    for entity in range(len(held_bounds) - 1):
        i, j, k = held_bounds[entity], came_bounds[entity], gone_bounds[entity]
        while i < held_bounds[entity + 1] or j < came_bounds[entity + 1]:
            while i < held_bounds[entity + 1] and k < gone_bounds[entity + 1] and _order(gone, k, held, i) < 0:
                k += 1
            if i < held_bounds[entity + 1] and k < gone_bounds[entity + 1] and _order(gone, k, held, i) == 0:
                i += 1
                k += 1
                continue
            if j == came_bounds[entity + 1] or (i < held_bounds[entity + 1] and _order(held, i, came, j) <= 0):
                merged[size], source[size] = held[i], i
                i += 1
            else:
                merged[size], source[size] = came[j], len(held) + j
                j += 1
            size += 1
        bounds[entity + 1] = size
    return merged[:size], bounds, source[:size]


@compiled
def headed(rows: Matrix, bounds: Ints, kind: int) -> tuple[Ints, Ints]:
    """Each entity's rows behind a kind, a zero and their number, all in one; and where each begins, and the end."""
    width, entities = rows.shape[1], len(bounds) - 1
    words = np.empty(rows.size + _HEADER * entities, np.int64)
    begins = np.empty(entities + 1, np.int64)
    at = 0
    for entity in range(entities):
        begins[entity] = at
        words[at], words[at + 1], words[at + 2] = kind, 0, bounds[entity + 1] - bounds[entity]
        at += _HEADER
        for row in range(bounds[entity], bounds[entity + 1]):
            for word in range(width):
                words[at + word] = rows[row, word]
            at += width
    begins[entities] = at
    return words, begins
