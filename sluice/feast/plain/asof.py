"""For each question (entity, moment) the newest row at or before it, over rows that come a part at a time.

A part is sorted once and searched by bisection, O((n + q) log n); between parts only the best row so far of each
question is held. The answer depends on the rows and their order alone, not on how they are cut into parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

NOBODY = -1
"""The code of an entity that nobody asks about, or of a key with a null in it."""
_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Part:
    """Some rows: entity codes, event times, creations (none: the least number), and their values."""

    codes: np.ndarray
    times: np.ndarray
    created: np.ndarray
    values: pa.Table


class Newest:
    """The newest row of each question: by event time, then by creation, then the one that came later.

    With `known_only` a row counts from the moment it was created too, so that nothing is seen before it was there.
    """

    def __init__(self, codes: np.ndarray, moments: np.ndarray, *, known_only: bool = False) -> None:
        self._codes, self._moments, self._known_only = codes, moments, known_only
        self._found = np.zeros(len(codes), bool)
        self._times = np.full(len(codes), _NEVER)
        self._created = np.full(len(codes), _NEVER)
        self._values: pa.Table | None = None

    def fold(self, part: Part) -> None:
        """Take more rows into account."""
        wanted = part.codes != NOBODY
        if self._known_only:
            wanted &= part.created != _NEVER
        rows = np.flatnonzero(wanted)
        if self._values is None:
            self._values = part.values.slice(0, 0).take(pa.nulls(len(self._codes), pa.int64()))
        if not len(rows):
            return
        best = self._best(part.codes[rows], part.times[rows], part.created[rows])
        better, chosen = best != NOBODY, rows[best]
        times, created = part.times[chosen], part.created[chosen]
        older = (times < self._times) | ((times == self._times) & (created < self._created))
        better &= ~(self._found & older)
        self._times = np.where(better, times, self._times)
        self._created = np.where(better, created, self._created)
        self._found |= better
        places = np.where(better, len(self._codes) + chosen, np.arange(len(self._codes)))
        self._values = pa.concat_tables([self._values, part.values]).take(pa.array(places))

    def answers(self, *, lasting: int | None = None) -> pa.Table | None:
        """The values of every question, null where no row is found or it is older than `lasting` microseconds.

        None when no part ever came.
        """
        if self._values is None:
            return None
        good = self._found if lasting is None else self._found & (self._times >= self._moments - lasting)
        return self._values.take(pa.array(np.arange(len(good)), mask=~good))

    def _best(self, codes: np.ndarray, times: np.ndarray, created: np.ndarray) -> np.ndarray:
        """For each question the place of its newest row among these, or NOBODY."""
        there = np.maximum(times, created) if self._known_only else times
        count = len(codes)
        by_rank = np.lexsort((created, times))
        rank = np.empty(count, np.int64)
        rank[by_rank] = np.arange(count)
        order = np.lexsort((there, codes))
        entity, ranked = codes[order].astype(np.int64), rank[order]
        # codes ascend, so a new entity starts above every rank of the one before
        highest = np.maximum.accumulate(entity * count + ranked) - entity * count
        moments = np.unique(there)
        held = entity * (len(moments) + 1) + np.searchsorted(moments, there[order])
        asked = self._codes.astype(np.int64) * (len(moments) + 1)
        asked += np.searchsorted(moments, self._moments, side="right") - 1
        at = np.searchsorted(held, asked, side="right") - 1
        hit = (at >= 0) & (self._codes != NOBODY)
        hit &= entity[np.maximum(at, 0)] == self._codes
        return np.where(hit, by_rank[highest[np.maximum(at, 0)]], NOBODY)
