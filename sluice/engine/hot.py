"""Windows of an entity with many rows: rows where a window cuts a slot, states of the slots that it holds whole.

The parts of an entity are its base, the stretches of rows that were read, the states of the leaves between them, and
the request's own row, in the order of time. What a window adds up to is what its parts do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.declare.functions import LIFETIME, Windowed
from sluice.declare.usage import most_values
from sluice.declare.views import Windows
from sluice.engine import sketches
from sluice.engine.encode import Ints
from sluice.engine.evaluate import Sums, evaluate, nobody
from sluice.engine.layout import ID, TIME, Matrix, known_word
from sluice.engine.plan import plan_of
from sluice.engine.ranges import search
from sluice.engine.requests import Moment
from sluice.engine.states import (
    AMOUNT,
    COUNT,
    WEIGHT,
    State,
    Tally,
    merged_pair,
    merged_tally,
    read_state,
    tallied,
    tally,
)
from sluice.engine.tiles import Head, Leaf, Rows

_SINCE = frozenset({"since_first", "since_last"})


@dataclass(frozen=True)
class Asked:
    """One request of a hot entity: its time, the last microsecond of its windows, and what it adds itself."""

    time: int
    near: int
    own: Matrix
    """The request's own row, or none."""


@dataclass(frozen=True)
class _Part:
    """What some rows add up to, and which windows hold them."""

    sums: Sums
    held: NDArray[np.bool_]
    tallies: Sequence[Tally]


def wanted(view: Windows, head: Head, time: int, near: int) -> list[Leaf]:
    """The leaves whose rows a request needs: those that a window cuts, small ones, and those known only later."""
    fars = near - plan_of(view).windows
    reached = [leaf for leaf in head.leaves if leaf.start <= near and leaf.end > fars.min() + 1]
    return [leaf for leaf in reached if not len(leaf.state) or leaf.known > time or _cut(leaf, fars, near)]


def _cut(leaf: Leaf, fars: Ints, near: int) -> bool:
    """Whether a window begins or ends inside a leaf."""
    return bool(((leaf.start <= fars) & (fars < leaf.end)).any()) or leaf.start <= near < leaf.end


def seen_by(view: Windows, rows: Rows, moment: Moment) -> Matrix:
    """The rows that a moment may see, as far as its windows do not decide."""
    matrix = rows.matrix
    seen = np.ones(len(matrix), bool)
    if view.label is not None:
        seen = matrix[:, known_word(view)] <= moment.time
    if moment.id is not None and view.lag == 0:
        for place in np.flatnonzero(matrix[:, TIME] == moment.time).tolist():
            if rows.ids is None:
                seen[place] &= bool(matrix[place, ID] < int(moment.id))
            else:
                seen[place] &= rows.ids[place].encode() < str(moment.id).encode()
    return matrix[seen]


def hot_sums(view: Windows, head: Head, rows: Mapping[int, Matrix], asked: Asked) -> Sums:
    """The sums of one request; `rows` has the rows of the `wanted` leaves by start, as far as they are known."""
    parts = list(_parts(view, head, rows, asked))
    held = np.stack([part.held for part in parts])
    number, total, high, low = (
        np.concatenate([getattr(part.sums, name) for part in parts]) for name in ("number", "total", "high", "low")
    )
    found = Sums.empty(1, view)
    for place, feature in enumerate(view.functions):
        here = held[:, place]
        found.number[0, place], found.total[0, place] = merged_pair(feature, number[here, place], total[here, place])
    roots = [place for place, feature in enumerate(view.functions) if feature.function == "std"]
    found.high[0] = (high * held[:, roots]).sum(axis=0)
    found.low[0] = (low * held[:, roots]).sum(axis=0)
    for index, feature in enumerate(tallied(view)):
        place = view.functions.index(feature)
        mine = merged_tally(feature, [part.tallies[index] for part in parts if part.held[place]])
        found.number[0, place], found.total[0, place] = _told(view, place, mine, asked.time)
    return found


def _parts(view: Windows, head: Head, rows: Mapping[int, Matrix], asked: Asked) -> Iterator[_Part]:
    windows = plan_of(view).windows
    fars = asked.near - windows
    if len(head.base):
        yield _whole(view, read_state(view, head.base), windows == LIFETIME, asked.time)
    run: list[Matrix] = [head.rows.matrix] if head.rows is not None else []
    for leaf in head.leaves:
        if leaf.start in rows:
            run.append(rows[leaf.start])
        elif leaf.start <= asked.near and leaf.start > fars.min():
            yield _stretch(view, run, asked)
            run = []
            yield _whole(view, read_state(view, leaf.state), leaf.start > fars, asked.time)
    yield _stretch(view, run, asked)
    if len(asked.own):
        first, stop = np.zeros((len(windows), 1), np.int64), np.ones(1, np.int64)
        found = Sums.empty(1, view)
        evaluate(plan_of(view), asked.own, first, stop, np.array([asked.time]), nobody(view), found)
        counted = np.array([feature.counts_request for feature in view.functions], bool)
        yield _Part(found, counted, [tally(view, feature, asked.own) for feature in tallied(view)])


def _whole(view: Windows, state: State, windows: NDArray[np.bool_], time: int) -> _Part:
    """A state, held by some windows."""
    ago = np.array([feature.function in _SINCE for feature in view.functions], bool)
    total = state.sums.total + np.where(ago & (state.sums.number > 0), time, 0)
    sums = Sums(state.sums.number, total, state.sums.high, state.sums.low)
    return _Part(sums, windows[_windows(view)], state.tallies)


def _stretch(view: Windows, run: Sequence[Matrix], asked: Asked) -> _Part:
    """Rows that follow each other, as far as each window holds them."""
    matrix = np.concatenate(run) if run else nobody(view)
    bounds = np.array([0, len(matrix)], np.int64)
    times, near = np.array([asked.time], np.int64), np.array([asked.near], np.int64)
    # rows that do not come before the request are not among those that were read
    first, stop = search(matrix, bounds, times, np.zeros(1, np.int64), np.ones(1, bool), near, plan_of(view).windows)
    sums = Sums.empty(1, view)
    evaluate(plan_of(view), matrix, first, stop, times, nobody(view), sums)
    mine = [
        tally(view, feature, matrix[first[_windows(view)[place], 0] : stop[0]])
        for place, feature in enumerate(view.functions)
        if feature in tallied(view)
    ]
    return _Part(sums, np.ones(len(view.functions), bool), mine)


def _windows(view: Windows) -> Ints:
    """The window of each feature, as its place among the different ones."""
    windows = plan_of(view).windows.tolist()
    return np.array([windows.index(view.window(feature)) for feature in view.functions], np.int64)


def _told(view: Windows, place: int, found: Tally, time: int) -> tuple[int, int]:
    """Number and total of a feature from the tally of its window."""
    feature = view.functions[place]
    if feature.function == "percentile":
        return _ranked(feature, found)
    if feature.function.startswith("decayed"):
        return _faded(view, feature, found, time)
    size, most = len(found.keys), feature.parameters[0]
    if feature.function == "distinct":
        return (1, size) if size <= most else sketches.estimate(int(found.keys[most - 1]), most)
    if size == 0 or size > most:
        return 0, 0
    best = int(found.amounts[:, 0].argmax())
    if feature.function == "top":
        return 1, int(found.keys[best])
    return int(found.amounts.sum()), int(found.amounts[best, 0])


def _ranked(feature: Windowed, found: Tally) -> tuple[int, int]:
    over, under, bits, _ = feature.parameters
    count = int(found.amounts.sum())
    if count == 0:
        return 0, 0
    rank = (over * count + under - 1) // under
    key = int(found.keys[int(np.searchsorted(np.cumsum(found.amounts[:, 0]), rank))])
    return 1, key if found.exact else sketches.middle_of(key, bits)


def _faded(view: Windows, feature: Windowed, found: Tally, time: int) -> tuple[int, int]:
    half, table = feature.parameters[0], sketches.weights()
    now = time // half
    weight = int(table[(time - now * half) * len(table) // half])
    ago = now - found.keys
    here, shift = ago < 64, np.minimum(ago, 63)
    amount, ones = (int((found.amounts[here, column] >> shift[here]).sum()) for column in (AMOUNT, WEIGHT))
    count = int(found.amounts[:, COUNT].sum())
    if count > most_values(view, feature):
        return sketches.TOO_MANY, amount
    if count == 0:
        return (0 if feature.column else weight), amount
    return (ones if feature.function == "decayed_mean" else weight), amount
