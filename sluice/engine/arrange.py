"""Rows laid out for their requests: those that most requests know stand sorted, the others beside them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sluice.declare.views import Windows
from sluice.engine.amend import Amended, unamended
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints, Mask
from sluice.engine.layout import FOREVER, ID, TIME, Matrix
from sluice.engine.order import Side
from sluice.engine.plan import plan_of


class Known(NamedTuple):
    """From when until when each row is known; a row is known at its first moment and no longer at its last."""

    since: Ints
    until: Ints


def arranged(
    view: Windows, rows: Matrix, keys: Ints, known: Known | None, asked: Side, near: Ints
) -> tuple[Matrix, Ints, Amended]:
    """Rows with those that stand first, the keys of these, and what is amended; rows and requests come sorted.

    Without `known` every request knows all rows.
    """
    if known is None:
        return rows, keys, unamended()
    seen = rows[:, TIME] + view.lag
    gone = seen + int(plan_of(view).windows.max()) + int(view.slot or 0) + 1
    odd = np.flatnonzero((known.since > seen) | (known.until < gone))
    if not len(odd):
        return rows, keys, unamended()
    seen, gone = seen[odd], np.minimum(gone[odd], _last_times(asked)[keys[odd]] + 1)
    knowing = np.minimum(gone, known.until[odd]) - np.maximum(seen, known.since[odd])
    stands = np.ones(len(rows), bool)
    stands[odd] = (knowing > 0) & (2 * knowing > gone - seen)
    used = odd[knowing > 0]
    beside = used[~stands[used]]
    place = np.cumsum(stands) - 1
    place[beside] = np.count_nonzero(stands) + np.arange(len(beside))
    row = _Rows(
        keys[used],
        np.ascontiguousarray(rows[used, TIME]),
        np.ascontiguousarray(rows[used, ID]),
        known.since[used],
        known.until[used],
        place[used],
        stands[used],
    )
    windows = plan_of(view).windows
    amended = _amendments(row, asked.key, asked.time, asked.tie, asked.last, near, windows)
    return np.concatenate([rows[stands], rows[beside]]), keys[stands], amended


def _last_times(asked: Side) -> Ints:
    """The time of each key's last request; long before everything for one without."""
    last = np.full(asked.kinds, -(2**62))
    ends = np.append(asked.key[1:] != asked.key[:-1], True)[: len(asked.key)] & (asked.key >= 0)
    last[asked.key[ends]] = asked.time[ends]
    return last


class _Rows(NamedTuple):
    """Rows that some requests see otherwise than they stand, sorted; `place` is where they are laid out."""

    key: Ints
    time: Ints
    tie: Ints
    since: Ints
    until: Ints
    place: Ints
    stands: Mask


@compiled
def _amendments(row: _Rows, keys: Ints, times: Ints, ties: Ints, last: Mask, nears: Ints, windows: Ints) -> Amended:
    """One pass over requests, with the rows in reach that they or others to come see otherwise than they stand."""
    hidden_at, shown_at = np.zeros(len(keys) + 1, np.int64), np.zeros(len(keys) + 1, np.int64)
    hidden, shown, age = np.empty(64, np.int64), np.empty(64, np.int64), np.empty(64, np.int64)
    waiting = np.empty(len(row.key), np.int64)
    longest = windows.max()
    high = count = 0
    for r in range(len(keys)):
        now, near = times[r], nears[r]
        hidden_at[r + 1], shown_at[r + 1] = hidden_at[r], shown_at[r]
        if r == 0 or keys[r] != keys[r - 1]:
            count = 0
            while high < len(row.key) and row.key[high] < keys[r]:
                high += 1
        # as `ranges.walk` says what comes before a request
        while high < len(row.key) and row.key[high] == keys[r] and row.time[high] <= near:
            if row.time[high] == now and not last[r] and row.tie[high] >= ties[r]:
                break
            waiting[count] = high
            count += 1
            high += 1
        left = 0
        for i in range(count):
            at = waiting[i]
            since, until, stands = row.since[at], row.until[at], row.stands[at]
            settled = since <= now and until == FOREVER if stands else until <= now
            if settled or row.time[at] <= near - longest:
                continue
            waiting[left] = at
            left += 1
            seen = since <= now < until
            if stands and not seen:
                hidden = _put(hidden, hidden_at[r + 1], row.place[at])
                hidden_at[r + 1] += 1
            if seen and not stands:
                shown = _put(shown, shown_at[r + 1], row.place[at])
                age = _put(age, shown_at[r + 1], near - row.time[at])
                shown_at[r + 1] += 1
        count = left
    return Amended(hidden_at, hidden, shown_at, shown, age, windows)


@compiled
def _put(words: Ints, at: int, word: int) -> Ints:
    if at == len(words):
        larger = np.empty(2 * at, np.int64)
        larger[:at] = words
        words = larger
    words[at] = word
    return words
