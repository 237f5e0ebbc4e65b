"""Windows of an entity with many rows: rows where a window cuts a slot, states of the slots that it holds whole.

What a window adds up to is what its parts do: the base, the states of the leaves that were not opened, the rows of
those that were, and the request's own row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.declare.functions import LIFETIME, Windowed
from sluice.declare.usage import most_values
from sluice.declare.views import Windows
from sluice.engine import decay, sketches
from sluice.engine.encode import Ints, Mask
from sluice.engine.evaluate import Sums, evaluate, nobody
from sluice.engine.layout import FLAGS, ID, TIME, Matrix, known_word, mask
from sluice.engine.plan import LOOP_OF, plan_of
from sluice.engine.ranges import search
from sluice.engine.requests import Moment
from sluice.engine.states import (
    AMOUNT,
    COUNT,
    WEIGHT,
    Tally,
    merged_tally,
    read_fixed,
    read_state,
    read_tallies,
    shape,
    tallied,
    tally,
)
from sluice.engine.tiles import Head, Index, Rows

_BEFORE_ALL = -(2**62)


@dataclass(frozen=True)
class Asked:
    """One request of a hot entity: its time, the last microsecond of its windows, and what it adds itself."""

    time: int
    near: int
    own: Matrix
    """The request's own row, or none."""


@dataclass(frozen=True)
class _Parts:
    """What there is of an entity: states in the order of time with the windows that hold each, and opened rows."""

    starts: Ints
    """Of each state; the base's is before all."""
    held: NDArray[np.bool_]
    """Whether a window holds a state: one row for each state, one column for each feature."""
    sums: Sums
    """Of the states, as they are kept."""
    tallies: Sequence[Sequence[Tally]]
    matrix: Matrix
    first: Ints
    """Where the window of each feature begins among the opened rows."""
    stop: int
    opened: Sums
    """What the windows add up to over the opened rows."""


def wanted(view: Windows, index: Index, time: int, near: int) -> Mask:
    """The leaves whose rows a request needs: those that a window cuts, and those known only later."""
    fars, lasts = near - plan_of(view).windows, index.starts + index.spans - 1
    reached = (index.starts <= near) & (lasts > fars.min())
    # of events of the request's own moment ids decide which it sees
    sure = min(near, time - 1)
    cut = ((index.starts[:, None] <= fars) & (fars < lasts[:, None])).any(axis=1) | (sure < lasts)
    found: Mask = reached & (cut | (index.knowns > time))
    return found


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


def hot_sums(view: Windows, head: Head, opened: Mask, rows: Sequence[Matrix], asked: Asked) -> Sums:
    """The sums of one request; `rows` are those of the opened leaves (or of the head), as far as it may see them."""
    parts = _parts(view, head, opened, rows, asked)
    own = Sums.empty(1, view)
    if len(asked.own):
        ranges = np.zeros((len(plan_of(view).windows), 1), np.int64), np.ones(1, np.int64)
        evaluate(plan_of(view), asked.own, *ranges, np.array([asked.time]), nobody(view), own)
    found = Sums.empty(1, view)
    for place, feature in enumerate(view.functions):
        loop = LOOP_OF[feature.function]
        if loop == "sums":
            pair = _added(view, parts, own, place)
        elif loop == "extremes":
            pair = _extreme(view, parts, own, place)
        elif loop == "ends":
            pair = _end(view, parts, place, asked.time)
        else:
            pair = told(view, place, _tally(view, parts, asked, place), asked.time)
        found.number[0, place], found.total[0, place] = pair
    _square(view, parts, own, found)
    return found


def _parts(view: Windows, head: Head, opened: Mask, rows: Sequence[Matrix], asked: Asked) -> _Parts:
    windows, features = plan_of(view).windows, _windows(view)
    fars = asked.near - windows
    starts, held, sums, tallies = [], [], [], []
    if len(head.base):
        base = read_state(view, head.base)
        starts.append(np.array([_BEFORE_ALL], np.int64))
        held.append((windows == LIFETIME)[None, :])
        sums.append(head.base[: shape(view).fixed][None, :])
        tallies.append(base.tallies)
    if head.leaves is not None:
        index = head.leaves
        whole = np.flatnonzero(~opened & (index.starts <= asked.near) & (index.starts > fars.min()))
        starts.append(index.starts[whole])
        held.append(index.starts[whole, None] > fars)
        sums.append(index.sums[whole])
        tallies += [_tallies_of(view, index, place) for place in whole.tolist()] if tallied(view) else []
    matrix = np.concatenate(rows) if rows else nobody(view)
    near, last = np.array([asked.near], np.int64), np.ones(1, bool)
    bounds, time, none = np.array([0, len(matrix)], np.int64), np.array([asked.time], np.int64), np.zeros(1, np.int64)
    # rows that do not come before the request are not among those that were opened
    first, stop = search(matrix, bounds, time, none, last, near, windows)
    over_rows = Sums.empty(1, view)
    evaluate(plan_of(view), matrix, first, stop, time, nobody(view), over_rows)
    nothing = np.empty((0, shape(view).fixed), np.int64)
    return _Parts(
        np.concatenate([np.empty(0, np.int64), *starts]),
        np.concatenate([np.empty((0, len(windows)), bool), *held])[:, features],
        read_fixed(view, np.concatenate([nothing, *sums])),
        tallies,
        matrix,
        first[features, 0],
        int(stop[0]),
        over_rows,
    )


def _tallies_of(view: Windows, index: Index, place: int) -> list[Tally]:
    begin = int(index.ends[place - 1]) if place else 0
    return read_tallies(view, index.tallies[begin : int(index.ends[place])])


def _windows(view: Windows) -> Ints:
    """The window of each feature, as its place among the different ones."""
    windows = plan_of(view).windows.tolist()
    return np.array([windows.index(view.window(feature)) for feature in view.functions], np.int64)


def _kept(view: Windows, parts: _Parts, place: int) -> tuple[Ints, Ints, Ints]:
    """Numbers, totals and starts of the states that a feature's window holds and that have something."""
    at, held = int(shape(view).place[place]), parts.held[:, place]
    number, total = parts.sums.number[held, at], parts.sums.total[held, at]
    return number, total, parts.starts[held]


def _added(view: Windows, parts: _Parts, own: Sums, place: int) -> tuple[int, int]:
    number, total, _ = _kept(view, parts, place)
    more = (parts.opened, own)
    return (
        int(number.sum()) + sum(int(one.number[0, place]) for one in more),
        int(total.sum()) + sum(int(one.total[0, place]) for one in more),
    )


def _extreme(view: Windows, parts: _Parts, own: Sums, place: int) -> tuple[int, int]:
    number, total, _ = _kept(view, parts, place)
    found = total[number > 0].tolist()
    found += [int(one.total[0, place]) for one in (parts.opened, own) if one.number[0, place]]
    if not found:
        return 0, 0
    return 1, max(found) if view.functions[place].function == "max" else min(found)


def _end(view: Windows, parts: _Parts, place: int, time: int) -> tuple[int, int]:
    """The first or last value, or how long ago it was: in the states or among the opened rows."""
    feature = view.functions[place]
    last = feature.function in {"last", "since_last"}
    number, total, starts = _kept(view, parts, place)
    there = np.flatnonzero(number > 0)
    found = []
    if len(there):
        at = there[-1 if last else 0]
        # a state counts times to the epoch
        ago = time if feature.function.startswith("since") else 0
        found.append((int(starts[at]), int(total[at]) + ago))
    if parts.opened.number[0, place]:
        found.append((_moment(view, parts, place, last=last), int(parts.opened.total[0, place])))
    if not found:
        return 0, 0
    return 1, (max(found) if last else min(found))[1]


def _moment(view: Windows, parts: _Parts, place: int, *, last: bool) -> int:
    """When the first or last of the opened rows was that a feature asks for; no slot of a state lies around it."""
    flags = mask(view, view.functions[place])
    begin = int(parts.first[place])
    asked = np.flatnonzero((parts.matrix[begin : parts.stop, FLAGS] & flags) == flags)
    return int(parts.matrix[begin + asked[-1 if last else 0], TIME])


def _square(view: Windows, parts: _Parts, own: Sums, found: Sums) -> None:
    roots = [place for place, feature in enumerate(view.functions) if feature.function == "std"]
    for root, place in enumerate(roots):
        at, held = int(shape(view).root[root]), parts.held[:, place]
        for name in ("high", "low"):
            states, opened, mine = (getattr(one, name) for one in (parts.sums, parts.opened, own))
            getattr(found, name)[0, root] = states[held, at].sum() + opened[0, root] + mine[0, root]


def _tally(view: Windows, parts: _Parts, asked: Asked, place: int) -> Tally:
    feature = view.functions[place]
    at = [view.functions.index(one) for one in tallied(view)].index(place)
    states = [parts.tallies[state][at] for state in np.flatnonzero(parts.held[:, place]).tolist()]
    rows = tally(view, feature, parts.matrix[int(parts.first[place]) : parts.stop])
    own = [tally(view, feature, asked.own)] if len(asked.own) else []
    return merged_tally(feature, [*states, rows, *own])


def told(view: Windows, place: int, found: Tally, time: int) -> tuple[int, int]:
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
    half, table = feature.parameters[0], decay.weights()
    now = time // half
    weight = int(table[(time - now * half) * len(table) // half])
    ago = now - found.keys
    here, shift = ago < 64, np.minimum(ago, 63)
    amount, ones = (int((found.amounts[here, column] >> shift[here]).sum()) for column in (AMOUNT, WEIGHT))
    count = int(found.amounts[:, COUNT].sum())
    if count > most_values(view, feature):
        return decay.TOO_MANY, amount
    if count == 0:
        return (0 if feature.column else weight), amount
    return (ones if feature.function == "decayed_mean" else weight), amount
