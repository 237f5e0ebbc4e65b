"""What becomes of entities when rows leave and join them: their new heads and chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, pairwise

import numpy as np
import orjson

from sluice.declare.views import Windows
from sluice.engine.changes import Difference, Moved, together, without
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import ALWAYS, ID, TIME, Matrix, width
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
_HEADER = 3 * _WORD
_NOTHING = np.array([COLD, 0, 0], np.int64).tobytes()
"""The head of an entity without rows."""


def changed(view: Windows, moved: Difference, heads: Sequence[bytes | None], fetch: Fetch) -> Iterator[tuple[Id, Laid]]:
    """The entities of a difference as they are after it."""
    easy = np.array([head is None or _is_simple(head) for head in heads], bool)
    grown = _Grown(view, moved, heads, easy)
    yield from grown.changed()
    others = np.flatnonzero(~easy).tolist()
    yield from _Merged(view, moved, heads, np.flatnonzero(easy & ~grown.are)).changed(others)
    for entity in others:
        key, head = moved.keys[entity], read_head(view, heads[entity])
        gone, came = moved.gone.of(entity), moved.came.of(entity)
        if head.rows is not None:
            yield key, lay_out(view, in_order(together([without(head.rows, gone), came])), head.base)
        else:
            yield key, _Hot(view, key, head, fetch).changed(gone, came)


def _is_simple(head: bytes) -> bool:
    """Whether a head is cold, and without a base."""
    return head[0] == COLD and not any(head[_WORD : 2 * _WORD])


class _Grown:
    """Cold entities that only gain rows, all of them after their last: their bytes are copied, and not looked at."""

    def __init__(self, view: Windows, moved: Difference, heads: Sequence[bytes | None], easy: Mask) -> None:
        self._moved, self._heads, self._size = moved, heads, _WORD * width(view)
        came = moved.came.rows.matrix
        self._ends = np.searchsorted(moved.came.entity, np.arange(len(heads) + 1)).astype(np.int64)
        # the list of text ids at the end of a head does not grow by bytes that are added
        self.are = easy & (np.diff(self._ends) > 0) & (not has_texts(view))
        self.are[moved.gone.entity] = False
        at = np.flatnonzero(self.are)
        none = np.full(width(view), ALWAYS, np.int64).tobytes()
        words = b"".join([(heads[entity] or none)[-self._size :] for entity in at.tolist()])
        last, first = np.frombuffer(words, np.int64).reshape(-1, width(view)), came[self._ends[at]]
        after = (last[:, TIME] < first[:, TIME]) | ((last[:, TIME] == first[:, TIME]) & (last[:, ID] < first[:, ID]))
        held = np.array([len(heads[entity] or _NOTHING) - _HEADER for entity in at.tolist()], np.int64) // self._size
        self.are[at] = after & (held + np.diff(self._ends)[at] <= view.leaf)

    def changed(self) -> Iterator[tuple[Id, Laid]]:
        """Each entity as it is: its number of rows, those that it had, and those that came."""
        came, cuts = self._moved.came.rows.matrix.tobytes(), (self._ends * self._size).tolist()
        for entity in np.flatnonzero(self.are).tolist():
            head, begin, end = self._heads[entity] or _NOTHING, cuts[entity], cuts[entity + 1]
            count = (len(head) - _HEADER + end - begin) // self._size
            parts = (head[: 2 * _WORD], count.to_bytes(_WORD, "little"), head[_HEADER:], came[begin:end])
            yield self._moved.keys[entity], Laid(b"".join(parts), {})


class _Merged:
    """Cold entities, all in one pass over the words of their rows."""

    def __init__(self, view: Windows, moved: Difference, heads: Sequence[bytes | None], entities: Ints) -> None:
        self._view, self._entities = view, entities.tolist()
        self._keys = [moved.keys[entity] for entity in self._entities]
        size = _WORD * width(view)
        simple = [heads[entity] or _NOTHING for entity in self._entities]
        counts = [int.from_bytes(head[2 * _WORD : _HEADER], "little") for head in simple]
        ends = [_HEADER + count * size for count in counts]
        words = b"".join([head[_HEADER:end] for head, end in zip(simple, ends, strict=True)])
        held = np.frombuffer(words, np.int64).reshape(-1, width(view))
        bounds = np.array([0, *accumulate(counts)], np.int64)
        left, joined = (np.isin(side.entity, entities) for side in (moved.gone, moved.came))
        gone, came = _only(moved.gone, left, entities), _only(moved.came, joined, entities)
        self._rows, self._ends, source = merge(held, bounds, *gone, *came)
        self._ids: list[list[str]] | None = None
        if moved.came.rows.ids is not None:
            texts = [orjson.loads(head[end:] or b"[]") for head, end in zip(simple, ends, strict=True)]
            listed = [
                *chain.from_iterable(texts),
                *(moved.came.rows.ids[place] for place in np.flatnonzero(joined).tolist()),
            ]
            merged = [listed[place] for place in source.tolist()]
            self._ids = [merged[begin:end] for begin, end in pairwise(self._ends.tolist())]
            self._unsure = {*_alike(held, bounds, listed), *_alike(self._rows, self._ends, merged)}

    def changed(self, others: list[int]) -> Iterator[tuple[Id, Laid]]:
        """Each entity as it is; those that words cannot tell are left to the others."""
        laid, begins = headed(self._rows, self._ends, COLD)
        heads, cuts, ends = laid.tobytes(), (begins * _WORD).tolist(), self._ends.tolist()
        for place, (key, cut) in enumerate(zip(self._keys, pairwise(cuts), strict=True)):
            ids = None if self._ids is None else self._ids[place]
            if ids is not None and place in self._unsure:
                others.append(self._entities[place])
            elif 0 < ends[place + 1] - ends[place] <= self._view.leaf:
                head = heads[cut[0] : cut[1]]
                yield key, Laid(head if ids is None else head + orjson.dumps(ids), {})
            else:
                yield key, lay_out(self._view, Rows(self._rows[ends[place] : ends[place + 1]], ids))


def _alike(rows: Matrix, bounds: Ints, ids: Sequence[str]) -> list[int]:
    """The entities with rows of one moment whose ids begin alike and differ: their words do not say which comes first.

    `bounds` say where each entity's rows begin; `ids` has one for each row.
    """
    same = (rows[1:, TIME] == rows[:-1, TIME]) & (rows[1:, ID] == rows[:-1, ID])
    places = [place for place in np.flatnonzero(same).tolist() if ids[place] != ids[place + 1]]
    return (np.searchsorted(bounds, places, "right") - 1).tolist() if places else []


def _only(side: Moved, mine: Mask, entities: Ints) -> tuple[Matrix, Ints]:
    """The rows of some entities, which are those of a mask, and their bounds."""
    kept = side.entity[mine]
    bounds = np.append(np.searchsorted(kept, entities), len(kept)).astype(np.int64)
    return np.ascontiguousarray(side.rows.matrix[mine]), bounds


class _Hot:
    """An entity with leaves; only those that change are read."""

    def __init__(self, view: Windows, key: Id, head: Head, fetch: Fetch) -> None:
        self._view, self._key, self._base, self._fetch = view, key, head.base, fetch
        self._leaves = head.leaves.leaves() if head.leaves is not None else []

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
