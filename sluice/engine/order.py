"""Rows and requests in common integer codes, and their order by (key, time, id)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.engine.compiled import compiled
from sluice.engine.encode import Ints, Mask, integers, invalid

Values = TypeVar("Values", Ints, Mask)

_SPREAD = 4
"""Whole-number keys are their own codes while they span at most this many times as many numbers as there are."""


@dataclass(frozen=True)
class Side:
    """Who (-1 for nobody), when, and in which order at one moment; one that is `last` comes after every other."""

    key: Ints
    time: Ints
    tie: Ints
    last: Mask
    kinds: int
    """Keys are below this."""

    def turned(self, place: Ints) -> Side:
        """The same with each at another place."""
        ints = turned(self.key, place), turned(self.time, place), turned(self.tie, place)
        return Side(*ints, turned(self.last, place), self.kinds)

    def places(self) -> Ints:
        """Where each comes in the order by (key, time, tie), nobody's first."""
        if _ascending(self.time, self.tie, self.last):
            return by_key(self.key, self.kinds)
        # what comes from several files is sorted in stretches, which a stable sort finds and merges
        by_time = np.argsort(self.time, kind="stable")
        if _ascending(self.time[by_time], self.tie[by_time], self.last[by_time]):
            return turned(by_key(self.key[by_time], self.kinds), by_time)
        return inverse(np.lexsort((self.tie, self.last, self.time, self.key)))

    def same_as(self, other: Side) -> bool:
        """Whether they are the same in the same order."""
        pairs = ((self.key, other.key), (self.time, other.time), (self.tie, other.tie), (self.last, other.last))
        return len(self.key) == len(other.key) and all(np.array_equal(left, right) for left, right in pairs)


def sides_of(rows: pa.Table, requests: pa.Table, *, tied: bool) -> tuple[Side, Side]:
    """Rows and requests with keys and ids in common codes; without `tied`, ids decide nothing and all are equal."""
    row_keys, keys, kinds = _codes(rows.column("key"), requests.column("key"))
    row_ties, ties = ordered(rows.column("id"), requests.column("id"), needed=tied)
    last = invalid(requests.column("id")) if tied else np.ones(len(keys), bool)
    history = Side(row_keys, integers(rows.column("time"))[0], row_ties, np.zeros(len(row_keys), bool), kinds)
    return history, Side(keys, integers(requests.column("time"))[0], ties, last, kinds)


def by_key(keys: Ints, kinds: int) -> Ints:
    """Where each comes in the stable order of keys from -1 to `kinds` - 1, by counting."""
    # here and below numpy makes the room: it asks for large pages, which compiled loops do not
    place = np.empty(len(keys), np.int64)
    _count(keys, kinds, place)
    return place


@compiled
def _count(keys: Ints, kinds: int, place: Ints) -> None:
    starts = np.zeros(kinds + 2, np.int64)
    for key in keys:
        starts[key + 2] += 1
    for kind in range(1, kinds + 2):
        starts[kind] += starts[kind - 1]
    for i in range(len(keys)):
        place[i] = starts[keys[i] + 1]
        starts[keys[i] + 1] += 1


def turned(values: Values, place: Ints) -> Values:
    """Values at their places."""
    found = np.empty_like(values)
    _turn(values, place, found)
    return found


@compiled
def _turn(values: Values, place: Ints, found: Values) -> None:
    for i in range(len(values)):
        found[place[i]] = values[i]


def inverse(order: Ints) -> Ints:
    """The places of an order, or the order of places."""
    return turned(np.arange(len(order)), order)


@compiled
def _ascending(time: Ints, tie: Ints, last: Mask) -> bool:
    for i in range(1, len(time)):
        if time[i] < time[i - 1]:
            return False
        if time[i] == time[i - 1] and (last[i - 1] > last[i] or (last[i - 1] == last[i] and tie[i] < tie[i - 1])):
            return False
    return True


def _codes(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ints, Ints, int]:
    """Codes from 0 of the keys of both sides, -1 for null, and how many there may be."""
    if pa.types.is_integer(left.type) and pa.types.is_integer(right.type):
        (a, a_valid), (b, b_valid) = integers(left), integers(right)
        low = min(a.min(initial=2**62), b.min(initial=2**62))
        span = max(a.max(initial=-(2**62)), b.max(initial=-(2**62))) - low + 1
        if len(a) + len(b) == 0 or (0 < span <= _SPREAD * (len(a) + len(b)) + 1024):
            codes = _from(low, left, a, a_valid)
            others = codes if left.equals(right) else _from(low, right, b, b_valid)
            return codes, others, max(int(span), 0)
    joined = pa.concat_arrays([*left.chunks, *right.chunks]) if left.num_chunks + right.num_chunks else left
    coded = joined.dictionary_encode() if isinstance(joined, pa.Array) else pa.array([], pa.int64()).dictionary_encode()
    values, valid = integers(coded.indices)
    codes = np.where(valid, values, -1)
    return codes[: len(left)], codes[len(left) :], len(coded.dictionary)


def _from(low: int, keys: pa.ChunkedArray, values: Ints, valid: Mask) -> Ints:
    return np.where(valid, values - low, -1) if keys.null_count else values - low


def ordered(left: pa.ChunkedArray, right: pa.ChunkedArray, *, needed: bool) -> tuple[Ints, Ints]:
    """Integers in the order of the ids: themselves, or the rank of their text as UTF-8 bytes; 0 for null."""
    if not needed:
        return np.zeros(len(left), np.int64), np.zeros(len(right), np.int64)
    if pa.types.is_integer(left.type) and pa.types.is_integer(right.type):
        return integers(left)[0], integers(right)[0]
    sides = [*left.cast(pa.string()).chunks, *right.cast(pa.string()).chunks]
    texts = (pa.concat_arrays(sides) if sides else pa.array([], pa.string())).dictionary_encode()
    ranks = np.empty(len(texts.dictionary), np.int64)
    ranks[pc.array_sort_indices(texts.dictionary).to_numpy()] = np.arange(len(ranks))
    place, valid = integers(texts.indices)
    codes = np.where(valid, ranks[place], 0) if len(ranks) else place
    return codes[: len(left)], codes[len(left) :]
