"""What windows add up to, and their extremes and ends: loops over sorted rows that follow each window as it slides.

Every loop has the same form. `plan` has a row for each feature that it fills: its place, its window, the word of its
value (-1: none) and the flags that a row must have. Ranges come from `ranges`; where those of two requests do not
overlap, as between entities, the loop starts afresh. `own` holds each request's own row, or nothing where requests are
not included. `amended` has what a request knows otherwise than the sorted rows say. `number` and `total` are filled in
the feature's place: how many values there are, and their whole.
"""

from __future__ import annotations

import numpy as np

from sluice.engine.amend import Amended, amendment, amount, is_hidden
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints
from sluice.engine.layout import FLAGS, ID, TIME, Matrix


@compiled
def sums(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    weight: int,
    own: Matrix,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
    """Counts and sums; `weight` is the word of a row's weight, -1 where each weighs one.

    Features that read the same value of the same rows stand next to each other in the plan, longer windows later.
    """
    if not len(stop):
        return
    base = first[-1].min()
    so_far = np.empty((stop.max() - base + 1, 2), np.int64)
    for p in range(len(plan)):
        place, window, value, mask = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
        if p == 0 or value != plan[p - 1, 2] or mask != plan[p - 1, 3]:
            longest = p
            while longest + 1 < len(plan) and plan[longest + 1, 2] == value and plan[longest + 1, 3] == mask:
                longest += 1
            _add_up(rows, first[plan[longest, 1]], stop, value, mask, weight, base, so_far)
        for r in range(len(stop)):
            begin, end = first[window, r] - base, stop[r] - base
            number[r, place] = so_far[end, 0] - so_far[begin, 0]
            total[r, place] = so_far[end, 1] - so_far[begin, 1]
        if len(amended.hidden_at):
            _amend(rows, first[window], window, place, value, mask, weight, amended, number, total)
        for r in range(len(own)):
            if own[r, FLAGS] & mask == mask:
                number[r, place] += 1
                total[r, place] += own[r, value] if value >= 0 else 1


@compiled
def _add_up(
    rows: Matrix, first: Ints, stop: Ints, value: int, mask: int, weight: int, base: int, so_far: Matrix
) -> None:
    """How many rows from `base` on and what they come to, before each row that a window holds.

    A sum from far back may leave 64 bits and come round again: differences over a window are right all the same.
    """
    low = high = -1
    for r in range(len(stop)):
        begin, end = first[r] - base, stop[r] - base
        if begin > high or begin < low:
            low = high = begin
            so_far[begin] = 0
        while high < end:
            count = whole = 0
            if rows[base + high, FLAGS] & mask == mask:
                count = 1 if weight < 0 else rows[base + high, weight]
                whole = count if value < 0 else rows[base + high, value]
            so_far[high + 1, 0], so_far[high + 1, 1] = so_far[high, 0] + count, so_far[high, 1] + whole
            high += 1


@compiled
def _amend(
    rows: Matrix,
    first: Ints,
    window: int,
    place: int,
    value: int,
    mask: int,
    weight: int,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
    """What requests see otherwise than the sorted rows say."""
    for r in range(len(first)):
        for i in range(amount(amended, r)):
            row, sign = amendment(amended, r, i, first[r], window)
            if rows[row, FLAGS] & mask == mask:
                count = 1 if weight < 0 else rows[row, weight]
                number[r, place] += sign * count
                total[r, place] += sign * (count if value < 0 else rows[row, value])


@compiled
def _square(value: int) -> tuple[int, int]:
    """A square in two words: what is above 32 bits, and the 32 bits below; |value| stays below 2^43."""
    size = abs(value)
    above, below = size >> 16, size & 0xFFFF
    rest = ((2 * above * below) << 16) + below * below
    return above * above + (rest >> 32), rest & 0xFFFFFFFF


@compiled
def squares(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    own: Matrix,
    amended: Amended,
    high_words: Matrix,
    low_words: Matrix,
) -> None:
    """Sums of squares in two words of 32 bits and of what is above; the feature's place is among those of `std`."""
    for p in range(len(plan)):
        place, window, value, mask = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
        low = high = upper = lower = 0
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            if begin >= high or begin < low or end < high:
                low = high = begin
                upper = lower = 0
            while high < end:
                if rows[high, FLAGS] & mask == mask:
                    above, below = _square(rows[high, value])
                    upper += above
                    lower += below
                high += 1
            while low < begin:
                if rows[low, FLAGS] & mask == mask:
                    above, below = _square(rows[low, value])
                    upper -= above
                    lower -= below
                low += 1
            high_words[r, place], low_words[r, place] = upper, lower
            for i in range(amount(amended, r)):
                row, sign = amendment(amended, r, i, begin, window)
                if rows[row, FLAGS] & mask == mask:
                    above, below = _square(rows[row, value])
                    high_words[r, place] += sign * above
                    low_words[r, place] += sign * below
            if len(own) and own[r, FLAGS] & mask == mask:
                above, below = _square(own[r, value])
                high_words[r, place] += above
                low_words[r, place] += below


@compiled
def extremes(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    own: Matrix,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
    """Greatest values, or least ones where the plan's fifth word is -1.

    The rows that can still become the extreme wait in a queue, the greatest at its head (the sliding maximum).
    """
    queue = np.empty(len(rows), np.int64)
    for p in range(len(plan)):
        place, window, value, mask, sign = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3], plan[p, 4]
        low = high = head = tail = 0
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            if begin >= high or begin < low or end < high:
                low = high = begin
                head = tail = 0
            while high < end:
                if rows[high, FLAGS] & mask == mask:
                    while tail > head and sign * rows[queue[tail - 1], value] <= sign * rows[high, value]:
                        tail -= 1
                    queue[tail] = high
                    tail += 1
                high += 1
            low = begin
            while head < tail and queue[head] < begin:
                head += 1
            best = queue[head] if head < tail else -1
            if amount(amended, r):
                best = _best_known(rows, begin, end, best, window, value, mask, sign, amended, r)
            number[r, place] = total[r, place] = 0
            if best >= 0:
                number[r, place], total[r, place] = 1, rows[best, value]
            if len(own) and own[r, FLAGS] & mask == mask:
                mine = own[r, value]
                if number[r, place] == 0 or sign * mine > sign * total[r, place]:
                    number[r, place], total[r, place] = 1, mine


@compiled
def _best_known(
    rows: Matrix,
    begin: int,
    end: int,
    best: int,
    window: int,
    value: int,
    mask: int,
    sign: int,
    amended: Amended,
    request: int,
) -> int:
    """The row with the greatest value that a request knows, -1 for none; `best` is that of the sorted ones."""
    if best >= 0 and is_hidden(amended, request, best):
        best = -1
        for row in range(begin, end):
            if rows[row, FLAGS] & mask == mask and (best < 0 or sign * rows[row, value] > sign * rows[best, value]):
                best = best if is_hidden(amended, request, row) else row
    for i in range(amount(amended, request)):
        row, more = amendment(amended, request, i, begin, window)
        if more > 0 and rows[row, FLAGS] & mask == mask:
            best = row if best < 0 or sign * rows[row, value] > sign * rows[best, value] else best
    return best


@compiled
def ends(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    times: Ints,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
    """The first or last value, or how long ago it was: the plan's fifth word is 1 for the last and -1 for the first.

    A feature without a value asks for the time between the row and the request.
    """
    near = np.empty(len(rows) + 1, np.int64)
    for p in range(len(plan)):
        place, window, value, mask, side = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3], plan[p, 4]
        if side > 0:
            near[0] = -1
            for i in range(len(rows)):
                near[i + 1] = i if rows[i, FLAGS] & mask == mask else near[i]
        else:
            near[len(rows)] = len(rows)
            for i in range(len(rows) - 1, -1, -1):
                near[i] = i if rows[i, FLAGS] & mask == mask else near[i + 1]
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            found = near[end] if side > 0 else near[begin]
            if not begin <= found < end:
                found = -1
            if amount(amended, r):
                found = _end_known(rows, near, begin, end, found, window, mask, side, amended, r)
            number[r, place] = total[r, place] = 0
            if found >= 0:
                number[r, place] = 1
                total[r, place] = rows[found, value] if value >= 0 else times[r] - rows[found, TIME]


@compiled
def _end_known(
    rows: Matrix,
    near: Ints,
    begin: int,
    end: int,
    found: int,
    window: int,
    mask: int,
    side: int,
    amended: Amended,
    request: int,
) -> int:
    """The first or last row that a request knows, -1 for none; `found` is that of the sorted ones."""
    while begin <= found < end and is_hidden(amended, request, found):
        found = near[found] if side > 0 else near[found + 1]
    if not begin <= found < end:
        found = -1
    for i in range(amount(amended, request)):
        row, more = amendment(amended, request, i, begin, window)
        if more > 0 and rows[row, FLAGS] & mask == mask:
            found = row if found < 0 or _is_later(rows, row, found) == (side > 0) else found
    return found


@compiled
def _is_later(rows: Matrix, row: int, other: int) -> bool:
    """Whether a row comes after another one of its entity, by (time, id)."""
    if rows[row, TIME] == rows[other, TIME]:
        return bool(rows[row, ID] > rows[other, ID])
    return bool(rows[row, TIME] > rows[other, TIME])
