"""Where each request's windows lie among sorted rows: `first[window, request]` up to, without it, `stop[request]`."""

from __future__ import annotations

import numpy as np

from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import ID, TIME, Matrix


def walk(
    rows: Matrix, row_keys: Ints, keys: Ints, times: Ints, ties: Ints, last: Mask, nears: Ints, windows: Ints
) -> tuple[Matrix, Ints]:
    """The ranges of requests among the rows of some keys, both sorted by (key, time, tie).

    Of the rows of its key a request sees those up to its near edge that come before it by (time, tie); one that is
    `last` comes after every row of its moment.
    """
    # numpy asks for its memory in large pages, compiled loops do not
    first, stop = np.empty((len(windows), len(keys)), np.int64), np.empty(len(keys), np.int64)
    _walk(rows, row_keys, keys, times, ties, last, nears, windows, first, stop)
    return first, stop


@compiled
def _walk(
    rows: Matrix,
    row_keys: Ints,
    keys: Ints,
    times: Ints,
    ties: Ints,
    last: Mask,
    nears: Ints,
    windows: Ints,
    first: Matrix,
    stop: Ints,
) -> None:
    """One pass with a pointer for each edge."""
    lows = np.zeros(len(windows), np.int64)
    begin = high = 0
    for r in range(len(keys)):
        key = keys[r]
        if r == 0 or key != keys[r - 1]:
            begin = max(begin, high)
            while begin < len(row_keys) and row_keys[begin] < key:
                begin += 1
            high = begin
            lows[:] = begin
        while high < len(row_keys) and row_keys[high] == key and rows[high, TIME] <= nears[r]:
            if rows[high, TIME] == times[r] and not last[r] and rows[high, ID] >= ties[r]:
                break
            high += 1
        stop[r] = high
        for w in range(len(windows)):
            far = nears[r] - windows[w]
            while lows[w] < high and rows[lows[w], TIME] <= far:
                lows[w] += 1
            first[w, r] = lows[w]


@compiled
def search(
    rows: Matrix, bounds: Ints, times: Ints, ties: Ints, last: Mask, nears: Ints, windows: Ints
) -> tuple[Matrix, Ints]:
    """The same by bisection, for requests that each have rows of their own: from one of the bounds up to the next."""
    first = np.empty((len(windows), len(times)), np.int64)
    stop = np.empty(len(times), np.int64)
    for r in range(len(times)):
        low, high = bounds[r], bounds[r + 1]
        while low < high:
            middle = (low + high) // 2
            seen = rows[middle, TIME] <= nears[r]
            if seen and rows[middle, TIME] == times[r] and not last[r]:
                seen = rows[middle, ID] < ties[r]
            if seen:
                low = middle + 1
            else:
                high = middle
        stop[r] = low
        for w in range(len(windows)):
            far = nears[r] - windows[w]
            low, high = bounds[r], stop[r]
            while low < high:
                middle = (low + high) // 2
                if rows[middle, TIME] <= far:
                    low = middle + 1
                else:
                    high = middle
            first[w, r] = low
    return first, stop
