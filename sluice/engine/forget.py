"""Forgetting what no future event and no request can reach, and keeping what lifetime windows need of it."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from sluice.declare.functions import LIFETIME
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.changes import together
from sluice.engine.encode import Ints
from sluice.engine.history import keep
from sluice.engine.layout import TIME, known_word
from sluice.engine.states import State, merged_state, read_state, state, words_of
from sluice.engine.store import Change, Partition, TileStore
from sluice.engine.tiles import NO_WORDS, Id, Laid, Leaf, Rows, hot, lay_out, no_rows, read_chunk, read_head

HORIZONS = 2
"""Behind the watermark: an event may come one horizon late, and a request of its time looks back as far again."""
_WORTH = 4
"""A head is written again when at least one in so many of its rows can go."""


def forget_expired(
    pipeline: Pipeline, store: TileStore, watermark: int, expected: Mapping[Partition, int | None] | None = None
) -> None:
    """Drop what no future event or request can reach, given the least watermark of all partitions.

    LostPartition, and nothing is dropped, unless every partition stands where it is expected.
    """
    heads: list[tuple[str, Id, bytes | None]] = []
    chunks: list[tuple[str, Id, int, bytes | None]] = []
    for view in pipeline.windows:
        for key, laid in _shortened(view, store, cut_of(view, watermark)):
            heads.append((view.name, key, laid.head))
            chunks += [(view.name, key, start, body) for start, body in laid.chunks.items()]
    store.apply(Change((), heads, chunks, expected or {}), forget=watermark - HORIZONS * keep(pipeline))


def cut_of(view: Windows, watermark: int) -> int:
    """The time before which rows of a view can go."""
    return watermark - HORIZONS * view.horizon


def shortened(view: Windows, rows: Rows, cut: int, base: Ints = NO_WORDS) -> Laid:
    """An entity from its rows, without those before a cut; `base` is the state of those that went before."""
    old = _old(view, rows, cut)
    if old and lifelong(view):
        base = _based(view, base, [state(view, rows.matrix[:old])])
    return lay_out(view, _after(rows, old), base)


def _shortened(view: Windows, store: TileStore, cut: int) -> Iterator[tuple[Id, Laid]]:
    for key, body in list(store.scan(view.name)):
        head = read_head(view, body)
        if head.rows is not None:
            old = _old(view, head.rows, cut)
            if old and old * _WORTH >= len(head.rows.matrix):
                yield key, shortened(view, head.rows, cut, head.base)
        else:
            leaves = [] if head.leaves is None else head.leaves.leaves()
            old = next((i for i, leaf in enumerate(leaves) if not _ended(view, leaf, cut)), len(leaves))
            if old:
                yield key, _without_leaves(view, store, key, leaves, old, head.base)


def _without_leaves(view: Windows, store: TileStore, key: Id, leaves: Sequence[Leaf], old: int, held: Ints) -> Laid:
    """A hot entity without its first leaves."""
    gone, left = leaves[:old], leaves[old:]
    base = _based(view, held, [read_state(view, leaf.state) for leaf in gone])
    removed: dict[int, bytes | None] = dict.fromkeys(leaf.start for leaf in gone)
    if sum(leaf.size for leaf in left) > view.leaf:
        return Laid(hot(view, left, base), removed)
    all_rows = together([no_rows(view), *_opened(view, store, key, left)])
    laid = lay_out(view, all_rows, base)
    return Laid(laid.head, {**removed, **dict.fromkeys(leaf.start for leaf in left)})


@functools.cache
def lifelong(view: Windows) -> bool:
    """Whether a view has a lifetime window, for which what is forgotten is kept as a state."""
    return any(view.window(feature) == LIFETIME for feature in view.functions)


def _based(view: Windows, base: Ints, states: Sequence[State]) -> Ints:
    """The base of an entity that loses some states after those that it lost before."""
    if not lifelong(view):
        return NO_WORDS
    held = [read_state(view, base)] if len(base) else []
    return words_of(merged_state(view, [*held, *states]))


def _old(view: Windows, rows: Rows, cut: int) -> int:
    """How many of the first rows can go."""
    times = rows.matrix[:, TIME]
    old = int(np.searchsorted(times, cut))
    if view.label is None or not lifelong(view):
        return old
    # what is known later than any request that may come is no part of a state that all of them read
    late = np.flatnonzero(rows.matrix[:old, known_word(view)] > cut)
    return int(late[0]) if len(late) else old


def _ended(view: Windows, leaf: Leaf, cut: int) -> bool:
    return leaf.end <= cut and (view.label is None or not lifelong(view) or leaf.known <= cut)


def _opened(view: Windows, store: TileStore, key: Id, leaves: Sequence[Leaf]) -> list[Rows]:
    wanted = [(view.name, key, leaf.start) for leaf in leaves]
    read = store.read([(view.name, key)], lambda _: wanted)
    return [read_chunk(view, read.chunks[name]) for name in wanted]


def _after(rows: Rows, old: int) -> Rows:
    return Rows(rows.matrix[old:], None if rows.ids is None else rows.ids[old:])
