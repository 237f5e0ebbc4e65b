"""States: what whole slots add to windows, as words that merge exactly, in any grouping.

    number of each sum, extreme and end | their totals | sums of squares | tallies: size, columns, exact, keys, amounts

Features that differ only in their window, or in what is made of one sum, share it. Numbers and totals are those of
`evaluate` over all rows; a time since is counted to the epoch.
Percentiles keep their values while they are few and buckets after that, kinds keep the least words, decays the sum of
each half-life: all of them sorted keys with amounts that add up.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from sluice.declare.functions import Windowed
from sluice.declare.views import Windows
from sluice.engine import decay, sketches
from sluice.engine.encode import Ints
from sluice.engine.evaluate import Sums, evaluate, nobody
from sluice.engine.layout import FLAGS, TIME, Matrix, mask, value_word
from sluice.engine.plan import LOOP_OF, plan_of

AMOUNT, WEIGHT, COUNT = 0, 1, 2
"""Columns of a decay's amounts."""
_SPARSE = ("ranks", "kinds", "decays")


@dataclass(frozen=True)
class Tally:
    """Sorted keys with what each amounts to, in one column or two; `exact` while the keys are the values themselves."""

    keys: Ints
    amounts: Matrix
    exact: bool = True


@dataclass(frozen=True)
class State:
    """The state of some rows that follow each other in time."""

    sums: Sums
    """One row, with a place for each of `Shape.kept`."""
    tallies: Sequence[Tally]
    """Of the features that have one, in their order."""


@dataclass(frozen=True)
class Shape:
    """What the states of a view hold: a feature stands for all that share its sum, and each finds its own by place."""

    kept: Ints
    """The features that stand in a state, as places among the view's."""
    place: Ints
    """Where each feature of the view finds its sum; -1 for one with a tally."""
    roots: Ints
    """The deviations whose squares stand in a state, as places among the view's deviations."""
    root: Ints
    """Where each deviation finds its squares."""

    @property
    def fixed(self) -> int:
        """How many words all states of the view have."""
        return 2 * len(self.kept) + 2 * len(self.roots)


@functools.cache
def shape(view: Windows) -> Shape:
    """The shape of a view's states."""
    kept: dict[object, int] = {}
    roots: dict[object, int] = {}
    place, root = [], []
    for number, feature in enumerate(view.functions):
        loop = LOOP_OF[feature.function]
        if loop in _SPARSE:
            place.append(-1)
            continue
        what = ("sums" if loop == "sums" else feature.function, feature.column, feature.where)
        place.append(list(kept).index(what) if what in kept else len(kept))
        kept.setdefault(what, number)
        if feature.function == "std":
            root.append(list(roots).index(what) if what in roots else len(roots))
            roots.setdefault(what, len(root) - 1)
    return Shape(*(np.array(listed, np.int64) for listed in (list(kept.values()), place, list(roots.values()), root)))


@functools.cache
def tallied(view: Windows) -> tuple[Windowed, ...]:
    """The features of a view that keep a tally."""
    return tuple(feature for feature in view.functions if LOOP_OF[feature.function] in _SPARSE)


def state(view: Windows, rows: Matrix) -> State:
    """The state of rows in order."""
    windows = len(plan_of(view).windows)
    rows = np.array(rows)  # rows of a stored tile cannot be written to, and compiled loops are made for those that can
    first, stop = np.zeros((windows, 1), np.int64), np.array([len(rows)], np.int64)
    found = Sums.empty(1, view)
    evaluate(plan_of(view), rows, first, stop, np.zeros(1, np.int64), nobody(view), found)
    held = shape(view)
    number, total = found.number[:, held.kept], found.total[:, held.kept]
    sums = Sums(number, total, found.high[:, held.roots], found.low[:, held.roots])
    return State(sums, [tally(view, feature, rows) for feature in tallied(view)])


def state_of(view: Windows, rows: Matrix) -> Ints:
    """The words of the state of rows in order."""
    return words_of(state(view, rows))


def words_of(found: State) -> Ints:
    """A state as words."""
    sums = found.sums
    parts = [part.ravel() for part in (sums.number, sums.total, sums.high, sums.low)]
    for one in found.tallies:
        parts += [np.array([len(one.keys), one.amounts.shape[1], int(one.exact)], np.int64), one.keys]
        parts.append(one.amounts.ravel())
    return np.concatenate(parts)


def read_state(view: Windows, words: Ints) -> State:
    """A state from its words."""
    fixed = shape(view).fixed
    return State(read_fixed(view, words[:fixed].reshape(1, -1)), read_tallies(view, words[fixed:]))


def read_fixed(view: Windows, words: Matrix) -> Sums:
    """The sums of some states, one in each row, from the words that all states have."""
    kept, roots = len(shape(view).kept), len(shape(view).roots)
    bounds = np.cumsum([0, kept, kept, roots, roots]).tolist()
    return Sums(*(words[:, begin:end] for begin, end in pairwise(bounds)))


def read_tallies(view: Windows, words: Ints) -> list[Tally]:
    """The tallies of a state from the words after the fixed ones."""
    return list(_tallies(words, 0, len(tallied(view))))


def _tallies(words: Ints, at: int, count: int) -> Iterator[Tally]:
    for _ in range(count):
        size, columns, exact = words[at : at + 3].tolist()
        keys, end = words[at + 3 : at + 3 + size], at + 3 + size * (1 + columns)
        yield Tally(keys, words[at + 3 + size : end].reshape(size, columns), bool(exact))
        at = end


def tally(view: Windows, feature: Windowed, rows: Matrix) -> Tally:
    """The tally of a feature over rows in order."""
    flags = mask(view, feature)
    mine = rows[(rows[:, FLAGS] & flags) == flags]
    word = value_word(view, feature)
    values = mine[:, word] if word >= 0 else np.ones(len(mine), np.int64)
    if feature.function.startswith("decayed"):
        return _decayed(feature, mine[:, TIME], values)
    if feature.function == "distinct":
        values = np.array([sketches.mixed(value) for value in values.tolist()], np.int64)
    keys, counts = np.unique(values, return_counts=True)
    return shortened(feature, Tally(keys, counts.astype(np.int64)[:, None]))


def merged_pair(feature: Windowed, number: Ints, total: Ints) -> tuple[int, int]:
    """What the parts of a window add up to, in the order of time; a tally's feature is told from its tally."""
    loop = LOOP_OF[feature.function]
    if loop == "sums":
        return int(number.sum()), int(total.sum())
    seen = total[number > 0]
    if len(seen) == 0 or loop not in {"extremes", "ends"}:
        return 0, 0
    if loop == "extremes":
        return 1, int(seen.max() if feature.function == "max" else seen.min())
    return 1, int(seen[-1] if feature.function in {"last", "since_last"} else seen[0])


def merged_state(view: Windows, states: Sequence[State]) -> State:
    """The state of all rows together, from states in the order of time."""
    number, total, high, low = (
        np.concatenate([getattr(one.sums, name) for one in states]) for name in ("number", "total", "high", "low")
    )
    kept = [view.functions[place] for place in shape(view).kept.tolist()]
    pairs = [merged_pair(item, number[:, place], total[:, place]) for place, item in enumerate(kept)]
    both = np.array(pairs, np.int64).reshape(-1, 2).T
    sums = Sums(both[:1], both[1:], high.sum(axis=0, keepdims=True), low.sum(axis=0, keepdims=True))
    tallies = [merged_tally(item, [one.tallies[i] for one in states]) for i, item in enumerate(tallied(view))]
    return State(sums, tallies)


def merged_tally(feature: Windowed, tallies: Sequence[Tally]) -> Tally:
    """The tally of all rows together."""
    if not all(one.exact for one in tallies):
        tallies = [_bucketed(feature, one) if one.exact else one for one in tallies]
    keys = np.concatenate([one.keys for one in tallies])
    amounts = np.concatenate([one.amounts for one in tallies])
    return shortened(feature, _added(keys, amounts, exact=tallies[0].exact))


def shortened(feature: Windowed, found: Tally) -> Tally:
    """What of a tally can still matter: it stays bounded, whatever it has seen."""
    if feature.function == "percentile":
        return _bucketed(feature, found) if found.exact and found.amounts.sum() > feature.parameters[3] else found
    if feature.function in {"distinct", "top", "top_share"}:
        # one more than is kept says that there are more
        most = feature.parameters[0] + 1
        return Tally(found.keys[:most], found.amounts[:most])
    return _without_old(found)


def _without_old(found: Tally) -> Tally:
    """A decay's sums without those of 64 half-lives before the newest: nothing of them is left, then or later."""
    if len(found.keys) == 0 or found.keys[0] > found.keys[-1] - 64:
        return found
    old = int(np.searchsorted(found.keys, found.keys[-1] - 63))
    amounts = found.amounts[old:].copy()
    amounts[0, COUNT] += found.amounts[:old, COUNT].sum()
    return Tally(found.keys[old:], amounts)


def _bucketed(feature: Windowed, found: Tally) -> Tally:
    """Values as buckets, one for each of them: equal ones are put together when tallies are merged."""
    bits = feature.parameters[2]
    keys = np.array([sketches.bucket(value, bits) for value in found.keys.tolist()], np.int64)
    return _added(keys, found.amounts, exact=False)


def _added(keys: Ints, amounts: Matrix, *, exact: bool) -> Tally:
    unique, place = np.unique(keys, return_inverse=True)
    added = np.zeros((len(unique), amounts.shape[1]), np.int64)
    np.add.at(added, place, amounts)
    return Tally(unique, added, exact)


def _decayed(feature: Windowed, times: Ints, values: Ints) -> Tally:
    half, table = feature.parameters[0], decay.weights()
    marks = times // half
    weight = table[(times - marks * half) * len(table) // half]
    amounts = np.stack([weight * values, weight, np.ones(len(marks), np.int64)], axis=1)
    return _without_old(_added(marks, amounts, exact=True))
