"""The exact whole numbers behind a view's features, from sorted rows and the ranges of the requests' windows."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.declare.views import Windows
from sluice.engine import decay, loops, ranges, sketches
from sluice.engine.amend import Amended, unamended
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import Matrix
from sluice.engine.plan import Plan, plan_of


@dataclass(frozen=True)
class Sums:
    """Of every request and feature: how many values its window holds (or a divisor) and what they come to.

    `high` and `low` are the sums of squares of the features with a standard deviation, in their order, in units of
    2^32 and of 1.
    """

    number: NDArray[np.int64]
    total: NDArray[np.int64]
    high: NDArray[np.int64]
    low: NDArray[np.int64]

    @classmethod
    def empty(cls, requests: int, *views: Windows) -> Sums:
        """Room for the sums of some requests over the features of some views."""
        features, roots = _sizes(views)
        words, squares = np.zeros((2, requests, features), np.int64), np.zeros((2, requests, roots), np.int64)
        return cls(words[0], words[1], squares[0], squares[1])


@functools.cache
def _sizes(views: tuple[Windows, ...]) -> tuple[int, int]:
    """How many features and how many standard deviations some views have."""
    return sum(len(view.functions) for view in views), sum(len(plan_of(view).squares) for view in views)


def nears(view: Windows, times: Ints) -> Ints:
    """The last microsecond that each request's windows may hold."""
    near = times - view.lag
    if view.slot is None:
        return near
    slot = int(view.slot)
    return near // slot * slot - 1


def nobody(view: Windows) -> Matrix:
    """The own rows of requests that are not included."""
    return np.empty((0, plan_of(view).width), np.int64)


def evaluate(
    plan: Plan,
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    times: Ints,
    own: Matrix,
    sums: Sums,
    amended: Amended | None = None,
) -> None:
    """Fill in the sums of every request over its ranges of rows; requests of one entity follow each other in time."""
    found = sums.number, sums.total, sums.high, sums.low
    known = unamended() if amended is None else amended
    _evaluated(rows, first, stop, times, own, known, plan.weight, *plan.tables, decay.weights(), *found)


def look_up(
    plan: Plan, rows: Matrix, bounds: Ints, times: Ints, ties: Ints, last: Mask, near: Ints, own: Matrix, sums: Sums
) -> None:
    """The same for requests that each have rows of their own, from one of the bounds up to the next."""
    found = sums.number, sums.total, sums.high, sums.low
    tables = plan.tables, decay.weights()
    _looked_up(rows, bounds, times, ties, last, near, plan.windows, own, plan.weight, *tables[0], tables[1], *found)


@compiled
def _evaluated(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    times: Ints,
    own: Matrix,
    amended: Amended,
    weight: int,
    sums: Matrix,
    squares: Matrix,
    extremes: Matrix,
    ends: Matrix,
    ranks: Matrix,
    kinds: Matrix,
    decays: Matrix,
    table: Ints,
    number: Matrix,
    total: Matrix,
    high: Matrix,
    low: Matrix,
) -> None:
    if len(sums):
        loops.sums(rows, first, stop, sums, weight, own, amended, number, total)
    if len(squares):
        loops.squares(rows, first, stop, squares, own, amended, high, low)
    if len(extremes):
        loops.extremes(rows, first, stop, extremes, own, amended, number, total)
    if len(ends):
        loops.ends(rows, first, stop, ends, times, amended, number, total)
    if len(ranks):
        sketches.ranks(rows, first, stop, ranks, own, amended, number, total)
    if len(kinds):
        sketches.kinds(rows, first, stop, kinds, own, amended, number, total)
    if len(decays):
        decay.decays(rows, first, stop, decays, table, times, own, amended, number, total)


@compiled
def _looked_up(
    rows: Matrix,
    bounds: Ints,
    times: Ints,
    ties: Ints,
    last: Mask,
    near: Ints,
    windows: Ints,
    own: Matrix,
    weight: int,
    sums: Matrix,
    squares: Matrix,
    extremes: Matrix,
    ends: Matrix,
    ranks: Matrix,
    kinds: Matrix,
    decays: Matrix,
    table: Ints,
    number: Matrix,
    total: Matrix,
    high: Matrix,
    low: Matrix,
) -> None:
    first, stop = ranges.search(rows, bounds, times, ties, last, near, windows)
    tables = (sums, squares, extremes, ends, ranks, kinds, decays)
    nothing = bounds[:0]
    known = Amended(nothing, nothing, nothing, nothing, nothing, nothing)
    _evaluated(rows, first, stop, times, own, known, weight, *tables, table, number, total, high, low)
