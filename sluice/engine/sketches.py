"""Percentiles and kinds of values of windows, in the form of `loops`: each a function of the multiset.

A percentile is the value at a rank of the sorted values; of many, the middle of the bucket that it falls in. Kinds are
counted one by one in the order of their 64-bit words; of too many, the smallest hashes stand for all.
"""

from __future__ import annotations

import numpy as np

from sluice.engine.amend import Amended, amendment, amount
from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints
from sluice.engine.layout import FLAGS, Matrix

DISTINCT, TOP, TOP_SHARE = 0, 1, 2


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
def ranks(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    own: Matrix,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
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
            more = amount(amended, r)
            if more:
                values, size = _amend_values(values, size, rows, value, mask, amended, r, begin, window, 1)
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
            if more:
                values, size = _amend_values(values, size, rows, value, mask, amended, r, begin, window, -1)


@compiled
def _amend_values(
    values: Ints,
    size: int,
    rows: Matrix,
    value: int,
    mask: int,
    amended: Amended,
    request: int,
    begin: int,
    window: int,
    turn: int,
) -> tuple[Ints, int]:
    """Sorted values as a request knows them, or, with a `turn` of -1, as they were before."""
    for i in range(amount(amended, request)):
        row, sign = amendment(amended, request, i, begin, window)
        if sign != 0 and rows[row, FLAGS] & mask == mask:
            at = _place(values, size, rows[row, value])
            if sign * turn > 0:
                values = _inserted(values, size, at, rows[row, value])
            else:
                _removed(values, size, at)
            size += sign * turn
    return values, size


@compiled
def kinds(
    rows: Matrix,
    first: Matrix,
    stop: Ints,
    plan: Matrix,
    own: Matrix,
    amended: Amended,
    number: Matrix,
    total: Matrix,
) -> None:
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
            more = amount(amended, r)
            if more:
                known = rows, value, mask, asked, amended, r, begin, window
                words, counts, size, whole = _amend_kinds(words, counts, size, whole, *known, 1)
            number[r, place], total[r, place] = _answer(words, counts, size, whole, asked, most)
            if more:
                words, counts, size, whole = _amend_kinds(words, counts, size, whole, *known, -1)
            if mine:
                word = mixed(own[r, value]) if asked == DISTINCT else own[r, value]
                size = _forgotten(words, counts, size, word)
                whole -= 1
                high = end


@compiled
def _amend_kinds(
    words: Ints,
    counts: Ints,
    size: int,
    whole: int,
    rows: Matrix,
    value: int,
    mask: int,
    asked: int,
    amended: Amended,
    request: int,
    begin: int,
    window: int,
    turn: int,
) -> tuple[Ints, Ints, int, int]:
    """Sorted words and their counts as a request knows them, or, with a `turn` of -1, as they were before."""
    for i in range(amount(amended, request)):
        row, sign = amendment(amended, request, i, begin, window)
        if sign != 0 and rows[row, FLAGS] & mask == mask:
            word = mixed(rows[row, value]) if asked == DISTINCT else rows[row, value]
            at = _place(words, size, word)
            if sign * turn > 0 and at < size and words[at] == word:
                counts[at] += 1
            elif sign * turn > 0:
                words, counts = _inserted(words, size, at, word), _inserted(counts, size, at, 1)
                size += 1
            else:
                size = _forgotten(words, counts, size, word)
            whole += sign * turn
    return words, counts, size, whole


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
