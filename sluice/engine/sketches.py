"""Percentiles, kinds of values and decayed sums of windows, in the form of `loops`: each a function of the multiset.

A percentile is the value at a rank of the sorted values; of many, the middle of the bucket that it falls in. Kinds are
counted one by one in the order of their 64-bit words; of too many, the smallest hashes stand for all. A decayed sum
adds values with whole weights by half-lives, and halves each half-life's sum by shifting it.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints
from sluice.engine.layout import FLAGS, TIME, Matrix

DISTINCT, TOP, TOP_SHARE = 0, 1, 2
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
def bucket(value: int, bits: int) -> int:
    """The bucket of a value: its leading `bits` + 1 binary digits and how many follow; ordered as the values are."""
    size = abs(value)
    rest = 0
    while size >> (rest + bits + 1):
        rest += 1
    place = (rest << bits) + (size >> rest)
    return place if value >= 0 else -place


@compiled
def middle_of(place: int, bits: int) -> int:
    """The value in the middle of a bucket."""
    size = abs(place)
    rest = max(0, (size >> bits) - 1)
    value = ((size - (rest << bits)) << rest) + ((1 << rest) >> 1)
    return value if place >= 0 else -value


@compiled
def mixed(word: int) -> int:
    """A word mixed as by the finaliser of MurmurHash3 (Appleby, public domain), to be compared as a signed number."""
    mix = np.uint64(np.int64(word))
    mix = (mix ^ (mix >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    mix = (mix ^ (mix >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    mix ^= mix >> np.uint64(33)
    return int(np.int64(mix ^ np.uint64(1 << 63)))


@compiled
def _place(sorted_words: Ints, size: int, word: int) -> int:
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        if sorted_words[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _grown(words: Ints) -> Ints:
    larger = np.empty(2 * len(words), np.int64)
    larger[: len(words)] = words
    return larger


@compiled
def _inserted(words: Ints, size: int, at: int, word: int) -> Ints:
    if size == len(words):
        words = _grown(words)
    for i in range(size, at, -1):
        words[i] = words[i - 1]
    words[at] = word
    return words


@compiled
def _removed(words: Ints, size: int, at: int) -> None:
    for i in range(at, size - 1):
        words[i] = words[i + 1]


@compiled
def ranks(rows: Matrix, first: Matrix, stop: Ints, plan: Matrix, own: Matrix, number: Matrix, total: Matrix) -> None:
    """Percentiles; the plan goes on with numerator and denominator of the share, bits of a bucket, and `exact`."""
    values = np.empty(64, np.int64)
    for p in range(len(plan)):
        place, window, value, mask = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
        over, under, bits, exact = plan[p, 4], plan[p, 5], plan[p, 6], plan[p, 7]
        low = high = size = 0
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            if begin >= high or begin < low or end < high:
                low = high = begin
                size = 0
            while high < end:
                if rows[high, FLAGS] & mask == mask:
                    word = rows[high, value]
                    values = _inserted(values, size, _place(values, size, word), word)
                    size += 1
                high += 1
            while low < begin:
                if rows[low, FLAGS] & mask == mask:
                    _removed(values, size, _place(values, size, rows[low, value]))
                    size -= 1
                low += 1
            mine = len(own) > 0 and own[r, FLAGS] & mask == mask
            at = -1
            if mine:
                at = _place(values, size, own[r, value])
                values = _inserted(values, size, at, own[r, value])
                size += 1
            number[r, place] = total[r, place] = 0
            if size:
                found = values[(over * size + under - 1) // under - 1]
                number[r, place] = 1
                total[r, place] = found if size <= exact else middle_of(bucket(found, bits), bits)
            if mine:
                _removed(values, size, at)
                size -= 1


@compiled
def kinds(rows: Matrix, first: Matrix, stop: Ints, plan: Matrix, own: Matrix, number: Matrix, total: Matrix) -> None:
    """Different values, or the commonest; the plan goes on with what is asked and how many kinds are kept."""
    words, counts = np.empty(64, np.int64), np.empty(64, np.int64)
    for p in range(len(plan)):
        place, window, value, mask = plan[p, 0], plan[p, 1], plan[p, 2], plan[p, 3]
        asked, most = plan[p, 4], plan[p, 5]
        low = high = size = whole = 0
        for r in range(len(stop)):
            begin, end = first[window, r], stop[r]
            if begin >= high or begin < low or end < high:
                low = high = begin
                size = whole = 0
            mine = len(own) > 0 and own[r, FLAGS] & mask == mask
            extra = end + 1 if mine else end
            while high < extra:
                # the request's own row comes last, and goes again below
                row = rows[high] if high < end else own[r]
                if row[FLAGS] & mask == mask:
                    word = mixed(row[value]) if asked == DISTINCT else row[value]
                    at = _place(words, size, word)
                    if at < size and words[at] == word:
                        counts[at] += 1
                    else:
                        words = _inserted(words, size, at, word)
                        counts = _inserted(counts, size, at, 1)
                        size += 1
                    whole += 1
                high += 1
            while low < begin:
                if rows[low, FLAGS] & mask == mask:
                    word = mixed(rows[low, value]) if asked == DISTINCT else rows[low, value]
                    size = _forgotten(words, counts, size, word)
                    whole -= 1
                low += 1
            number[r, place], total[r, place] = _answer(words, counts, size, whole, asked, most)
            if mine:
                word = mixed(own[r, value]) if asked == DISTINCT else own[r, value]
                size = _forgotten(words, counts, size, word)
                whole -= 1
                high = end


@compiled
def _forgotten(words: Ints, counts: Ints, size: int, word: int) -> int:
    at = _place(words, size, word)
    counts[at] -= 1
    if counts[at] == 0:
        _removed(words, size, at)
        _removed(counts, size, at)
        return size - 1
    return size


@compiled
def _answer(words: Ints, counts: Ints, size: int, whole: int, asked: int, most: int) -> tuple[int, int]:
    """The fraction (denominator, numerator) that sorted words and their counts stand for; 0 for null."""
    if asked == DISTINCT:
        if size <= most:
            return 1, size
        return estimate(words[most - 1], most)
    if size == 0 or size > most:
        return 0, 0
    best = 0
    for i in range(1, size):
        if counts[i] > counts[best]:
            best = i
    return (1, words[best]) if asked == TOP else (whole, counts[best])


@compiled
def estimate(word: int, most: int) -> tuple[int, int]:
    """How many hashes there are when this is the `most`-th smallest, as a fraction of 53-bit numbers."""
    position = (np.uint64(np.int64(word)) ^ np.uint64(1 << 63)) >> np.uint64(11)
    return int(np.int64(position)) + 1, (most - 1) << 53


@compiled
def decays(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    table: Ints,
    times: Ints,
    own: Matrix,
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
            amount = weight * (own[r, value] if value >= 0 else 1) if mine else 0
            one = weight if mine else 0
            for ago in range(64):
                slot = (now - ago) & 63
                if marks[slot] == now - ago:
                    amount += amounts[slot] >> ago
                    one += ones[slot] >> ago
            seen = count + mine
            total[r, place] = amount
            number[r, place] = one if is_mean else weight
            if seen == 0:
                number[r, place] = weight if value < 0 else 0
            if seen > most:
                number[r, place] = TOO_MANY


@compiled
def _weight(time: int, half: int, table: Ints, steps: int) -> tuple[int, int]:
    """In which half-life since the epoch a moment lies, and its weight there."""
    mark = time // half
    return mark, table[(time - mark * half) * steps // half]
