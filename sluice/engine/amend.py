"""What requests see otherwise than the sorted rows say: rows that some know and others do not.

A row that every request knows whose windows can hold it stands among the sorted rows, over which windows slide. A row
that came late, or that a later version replaced, is known to some of them only. If most of them know it, it stands
among the sorted rows and is hidden from the others; else it stands beside them and is shown to those that know it. The
choice changes no value, only how much there is to do: a request pays for the rows hidden from it and shown to it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints


class Amended(NamedTuple):
    """For each request the sorted rows that it does not know, ascending, and the rows beside them that it does.

    `hidden_at` and `shown_at` say where those of each request begin and the last one's end; where there are none at
    all, everything is empty. `age` is how long before the end of the request's windows a shown row lies.
    """

    hidden_at: Ints
    hidden: Ints
    shown_at: Ints
    shown: Ints
    age: Ints
    windows: Ints


def unamended() -> Amended:
    """What requests have that all know the sorted rows, and no other."""
    nothing = np.empty(0, np.int64)
    return Amended(nothing, nothing, nothing, nothing, nothing, nothing)


def part_of(amended: Amended, part: slice) -> Amended:
    """Of some requests that follow each other."""
    if not len(amended.hidden_at):
        return amended
    bounds = slice(part.start, part.stop + 1)
    return amended._replace(hidden_at=amended.hidden_at[bounds], shown_at=amended.shown_at[bounds])


@compiled
def amount(amended: Amended, request: int) -> int:
    """How many amendments a request has."""
    if not len(amended.hidden_at):
        return 0
    hidden = amended.hidden_at[request + 1] - amended.hidden_at[request]
    return int(hidden + amended.shown_at[request + 1] - amended.shown_at[request])


@compiled
def amendment(amended: Amended, request: int, number: int, begin: int, window: int) -> tuple[int, int]:
    """One of a request's amendments: the row, and 1 to add it, -1 to take it away, or 0 where the window lacks it.

    `begin` is where the window begins among the sorted rows.
    """
    hidden = amended.hidden_at[request] + number
    if hidden < amended.hidden_at[request + 1]:
        row = amended.hidden[hidden]
        return int(row), -1 if row >= begin else 0
    shown = amended.shown_at[request] + hidden - amended.hidden_at[request + 1]
    return int(amended.shown[shown]), 1 if amended.age[shown] < amended.windows[window] else 0


@compiled
def is_hidden(amended: Amended, request: int, row: int) -> bool:
    """Whether a sorted row is hidden from a request."""
    if not len(amended.hidden_at):
        return False
    low, high = amended.hidden_at[request], amended.hidden_at[request + 1]
    while low < high:
        middle = (low + high) // 2
        if amended.hidden[middle] < row:
            low = middle + 1
        else:
            high = middle
    return bool(low < amended.hidden_at[request + 1] and amended.hidden[low] == row)
