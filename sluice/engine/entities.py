"""What becomes of entities when rows leave and join them: their new heads and chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np

from sluice.declare.views import Windows
from sluice.engine.changes import Difference, together, without
from sluice.engine.encode import Ints
from sluice.engine.layout import TIME, Matrix, width
from sluice.engine.merge import headed, merge
from sluice.engine.plan import has_texts
from sluice.engine.tiles import (
    COLD,
    Head,
    Id,
    Laid,
    Leaf,
    Rows,
    chunk,
    divided,
    hot,
    in_order,
    lay_out,
    leaf_of,
    read_head,
)

Fetch = Callable[[Id, Sequence[int]], Mapping[int, Rows]]
"""The rows of some leaves of an entity, by start."""
_WORD = 8


def changed(view: Windows, moved: Difference, heads: Sequence[bytes | None], fetch: Fetch) -> Iterator[tuple[Id, Laid]]:
    """The entities of a difference as they are after it."""
    plain = not has_texts(view)
    easy = np.array([plain and (head is None or _is_simple(head)) for head in heads], bool)
    yield from _merged(view, moved, heads, np.flatnonzero(easy))
    for entity in np.flatnonzero(~easy).tolist():
        key, head = moved.keys[entity], read_head(view, heads[entity])
        gone, came = moved.gone.of(entity), moved.came.of(entity)
        if head.rows is not None:
            yield key, lay_out(view, in_order(together([without(head.rows, gone), came])), head.base)
        else:
            yield key, _Hot(view, key, head, fetch).changed(gone, came)


def _is_simple(head: bytes) -> bool:
    """Whether a head is cold, and without a base."""
    return head[0] == COLD and not any(head[_WORD : 2 * _WORD])


def _merged(
    view: Windows, moved: Difference, heads: Sequence[bytes | None], entities: Ints
) -> Iterator[tuple[Id, Laid]]:
    """Cold entities, all in one pass."""
    words = width(view)
    bodies = [head[3 * _WORD :] if (head := heads[entity]) is not None else b"" for entity in entities.tolist()]
    held = np.frombuffer(b"".join(bodies), np.int64).reshape(-1, words)
    bounds = np.cumsum([0, *(len(body) // (_WORD * words) for body in bodies)]).astype(np.int64)
    gone, came = (_only(side.entity, side.rows.matrix, entities) for side in (moved.gone, moved.came))
    rows, ends, _ = merge(held, bounds, *gone, *came)
    laid, begins = headed(rows, ends, COLD)
    text, cuts, sizes = laid.tobytes(), (begins * _WORD).tolist(), np.diff(ends).tolist()
    keys = [moved.keys[entity] for entity in entities.tolist()]
    for place, (key, cut) in enumerate(zip(keys, pairwise(cuts), strict=True)):
        if 0 < sizes[place] <= view.leaf:
            yield key, Laid(text[cut[0] : cut[1]], {})
        else:
            yield key, lay_out(view, Rows(rows[ends[place] : ends[place + 1]], None))


def _only(entity: Ints, matrix: Matrix, entities: Ints) -> tuple[Matrix, Ints]:
    """The rows of some entities, and their bounds."""
    mine = np.isin(entity, entities)
    kept = entity[mine]
    bounds = np.append(np.searchsorted(kept, entities), len(kept)).astype(np.int64)
    return np.ascontiguousarray(matrix[mine]), bounds


class _Hot:
    """An entity with leaves; only those that change are read."""

    def __init__(self, view: Windows, key: Id, head: Head, fetch: Fetch) -> None:
        self._view, self._key, self._base, self._fetch = view, key, head.base, fetch
        self._leaves = head.leaves.leaves(view) if head.leaves is not None else []

    def changed(self, gone: Rows, came: Rows) -> Laid:
        """The entity without some rows and with others."""
        before = {leaf.start: leaf for leaf in self._leaves}
        left = sum(leaf.size for leaf in self._leaves) - len(gone.matrix) + len(came.matrix)
        if left <= self._view.leaf:
            rows = self._all(self._leaves)
            laid = lay_out(self._view, in_order(together([without(rows, gone), came])), self._base)
            return Laid(laid.head, {**dict.fromkeys(before), **laid.chunks})
        leaves = list(self._slots(self._leaves, gone, came, 0))
        kept = {leaf.start for leaf in leaves}
        written = {leaf.start: chunk(leaf.rows) for leaf in leaves if leaf.rows is not None}
        return Laid(
            hot(self._view, leaves, self._base), {**{start: None for start in before if start not in kept}, **written}
        )

    def _slots(self, leaves: Sequence[Leaf], gone: Rows, came: Rows, level: int) -> Iterator[Leaf]:
        """The leaves of the slots of one level that have any, in order."""
        span = self._view.slots[level]
        held: dict[int, list[Leaf]] = {}
        for leaf in leaves:
            held.setdefault(leaf.start // span, []).append(leaf)
        lost, won = _by_slot(gone, span), _by_slot(came, span)
        for slot in sorted({*held, *lost, *won}):
            mine = held.get(slot, [])
            if slot in lost or slot in won:
                yield from self._slot(slot * span, mine, lost.get(slot, _none(gone)), won.get(slot, _none(came)), level)
            else:
                yield from mine

    def _slot(self, start: int, leaves: Sequence[Leaf], gone: Rows, came: Rows, level: int) -> Iterator[Leaf]:
        span = self._view.slots[level]
        count = sum(leaf.size for leaf in leaves) - len(gone.matrix) + len(came.matrix)
        last = level + 1 == len(self._view.slots)
        if count <= self._view.leaf or last:
            rows = in_order(together([without(self._all(leaves), gone), came]))
            if len(rows.matrix):
                yield leaf_of(self._view, start, span, rows)
        elif [leaf.span for leaf in leaves] == [span]:
            rows = in_order(together([without(self._all(leaves), gone), came]))
            yield from divided(self._view, rows, level)
        else:
            yield from self._slots(leaves, gone, came, level + 1)

    def _all(self, leaves: Sequence[Leaf]) -> Rows:
        """All rows of some leaves."""
        empty = Rows(np.empty((0, width(self._view)), np.int64), [] if has_texts(self._view) else None)
        found = self._fetch(self._key, [leaf.start for leaf in leaves]) if leaves else {}
        return together([empty, *(found[leaf.start] for leaf in leaves)])


def _none(like: Rows) -> Rows:
    return Rows(like.matrix[:0], None if like.ids is None else [])


def _by_slot(rows: Rows, span: int) -> dict[int, Rows]:
    slots = rows.matrix[:, TIME] // span
    found: dict[int, Rows] = {}
    for slot in np.unique(slots).tolist():
        mine = np.flatnonzero(slots == slot)
        ids = None if rows.ids is None else [rows.ids[place] for place in mine.tolist()]
        found[slot] = Rows(rows.matrix[mine], ids)
    return found
