"""Decayed sums of windows, in the form of `loops`: each a function of the multiset.

A decayed sum adds values with whole weights by half-lives, and halves each half-life's sum by shifting it.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from sluice.engine.amend import Amended, amendment, amount
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints
from sluice.engine.layout import FLAGS, TIME, Matrix

FRACTIONS = 4096
"""Into how many steps a half-life is divided."""
_WEIGHT_BITS = 16
TOO_MANY = 2**62
"""The number of values where more were added up than fit 64 bits."""


@functools.cache
def weights() -> Ints:
    """The frozen table of forward decay: 2^16 * 2^(i / 4096), rounded to whole numbers, for i from 0 to 4095.

    Made by whole numbers alone: the 4096th root of two by twelve integer square roots at 256 bits.
    """
    one = 1 << 256
    root = 2 * one
    for _ in range(12):
        root = math.isqrt(root * one)
    power, table = one, []
    for _ in range(FRACTIONS):
        table.append((power + (1 << (255 - _WEIGHT_BITS))) >> (256 - _WEIGHT_BITS))
        power = power * root >> 256
    return np.array(table, np.int64)


@compiled
def decays(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    table: Ints,
    times: Ints,
    own: Matrix,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
    """Decayed sums, of ones where there is no value; the plan goes on with half-life, whether a mean, and the most.

    Of a window's rows, those of each half-life since the epoch add up apart: the sum of q half-lives ago counts as its
    whole part after q halvings, and nothing after 63. The result is over the weight of the request's own moment.
    """
    amounts, ones = np.zeros(64, np.int64), np.zeros(64, np.int64)
    marks = np.zeros(64, np.int64)
    steps = len(table)
    for p in range(len(plan)):
        place, window, value, mask = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
        half, is_mean, most = plan[p, 4], plan[p, 5], plan[p, 6]
        low = high = count = 0
        marks[:] = -(2**62)
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            if begin >= high or begin < low or end < high:
                low = high = begin
                count = 0
                marks[:] = -(2**62)
            while high < end:
                if rows[high, FLAGS] & mask == mask:
                    mark, weight = _weight(rows[high, TIME], half, table, steps)
                    slot = mark & 63
                    if marks[slot] != mark:
                        marks[slot], amounts[slot], ones[slot] = mark, 0, 0
                    amounts[slot] += weight * (rows[high, value] if value >= 0 else 1)
                    ones[slot] += weight
                    count += 1
                high += 1
            while low < begin:
                if rows[low, FLAGS] & mask == mask:
                    mark, weight = _weight(rows[low, TIME], half, table, steps)
                    slot = mark & 63
                    if marks[slot] == mark:
                        amounts[slot] -= weight * (rows[low, value] if value >= 0 else 1)
                        ones[slot] -= weight
                    count -= 1
                low += 1
            now, weight = _weight(times[r], half, table, steps)
            mine = len(own) > 0 and own[r, FLAGS] & mask == mask
            seen = count + mine
            if amount(amended, r):
                known = marks.copy(), amounts.copy(), ones.copy()
                seen += _amend(*known, rows, value, mask, half, table, amended, r, begin, window)
                whole, one = _faded(*known, now)
            else:
                whole, one = _faded(marks, amounts, ones, now)
            if mine:
                whole += weight * (own[r, value] if value >= 0 else 1)
                one += weight
            total[r, place] = whole
            number[r, place] = one if is_mean else weight
            if seen == 0:
                number[r, place] = weight if value < 0 else 0
            if seen > most:
                number[r, place] = TOO_MANY


@compiled
def _faded(marks: Ints, amounts: Ints, ones: Ints, now: int) -> tuple[int, int]:
    """What the half-lives up to one come to there: amounts, and weights."""
    whole = one = 0
    for ago in range(64):
        slot = (now - ago) & 63
        if marks[slot] == now - ago:
            whole += amounts[slot] >> ago
            one += ones[slot] >> ago
    return whole, one


@compiled
def _amend(
    marks: Ints,
    amounts: Ints,
    ones: Ints,
    rows: Matrix,
    value: int,
    mask: int,
    half: int,
    table: Ints,
    amended: Amended,
    request: int,
    begin: int,
    window: int,
) -> int:
    """Change marks, amounts and weights by what a request knows otherwise; by how many rows there are more."""
    more = 0
    for i in range(amount(amended, request)):
        row, sign = amendment(amended, request, i, begin, window)
        if sign == 0 or rows[row, FLAGS] & mask != mask:
            continue
        more += sign
        mark, weight = _weight(rows[row, TIME], half, table, len(table))
        slot = mark & 63
        if marks[slot] < mark and sign > 0:
            # what is 64 half-lives older counts for nothing
            marks[slot], amounts[slot], ones[slot] = mark, 0, 0
        if marks[slot] == mark:
            amounts[slot] += sign * weight * (rows[row, value] if value >= 0 else 1)
            ones[slot] += sign * weight
    return more


@compiled
def _weight(time: int, half: int, table: Ints, steps: int) -> tuple[int, int]:
    """In which half-life since the epoch a moment lies, and its weight there."""
    mark = time // half
    return mark, table[(time - mark * half) * steps // half]
