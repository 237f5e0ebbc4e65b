"""Which rows train, choose and test a model: intervals in time order, the label delay as a gap between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sluice.clock import rfc3339
from sluice.errors import DeclarationError
from sluice.scoring import Bools, Int64s

Int8s: TypeAlias = NDArray[np.int8]

DAY = 86_400 * 1_000_000
"""Microseconds."""


class Part(IntEnum):
    """What a row is for."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    REST = 3
    """In a gap, or of a card known to be compromised: only a refit reads it."""
    OUTSIDE = 4


@dataclass(frozen=True, slots=True)
class Interval:
    """Event times from `start` up to and without `end`, microseconds."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise DeclarationError(f"the interval {self} is empty", allowed="start before end")

    def __contains__(self, instant: int) -> bool:
        return self.start <= instant < self.end

    def __str__(self) -> str:
        return f"{rfc3339(self.start)}/{rfc3339(self.end)}"

    def mask(self, times: Int64s) -> Bools:
        """Which of these times lie inside."""
        return (times >= self.start) & (times < self.end)

    def days(self) -> Iterator[Interval]:
        """The interval cut into days from its start; the last may be shorter."""
        for start in range(self.start, self.end, DAY):
            yield Interval(start, min(start + DAY, self.end))


@dataclass(frozen=True, slots=True)
class Split:
    """Train, then validation (it may be absent), then test, each at least `delay` after the one before.

    The delay is how long a label takes to be known: what a model learns from was known when the next part began.
    """

    train: Interval
    test: Interval
    delay: int
    validation: Interval | None = None

    def __post_init__(self) -> None:
        parts = [part for part in (self.train, self.validation, self.test) if part is not None]
        for before, after in pairwise(parts):
            if before.end + self.delay > after.start:
                raise DeclarationError(
                    f"{after} begins before the labels of {before} are known",
                    where="Split",
                    allowed=f"{rfc3339(before.end + self.delay)} or later",
                )

    @classmethod
    def ending(cls, end: int, *, history: int, validation: int, test: int, delay: int) -> Split:
        """The split of the last `history` microseconds before `end`, the most recent rows being the test.

        DeclarationError when the gaps leave nothing to train on.
        """
        tested = Interval(end - test, end)
        checked = Interval(tested.start - delay - validation, tested.start - delay)
        if end - history >= checked.start - delay:
            raise DeclarationError(
                "nothing is left to train on",
                where="Split.ending",
                allowed="history longer than validation + test + twice the label delay",
            )
        return cls(Interval(end - history, checked.start - delay), tested, delay, checked)

    def parts(self, times: Int64s, cards: NDArray[Any], labels: Int8s) -> Int8s:
        """The `Part` of every row, as a pure function of time and of which cards had a fraud when.

        A card counts as known on a day if one of its frauds since the start of training is at least the delay old when
        the day begins; its rows of that day are not evaluated (Fraud Detection Handbook, chapter 3).
        """
        parts = np.full(len(times), Part.OUTSIDE, dtype=np.int8)
        parts[(times >= self.train.start) & (times < self.test.end)] = Part.REST
        parts[self.train.mask(times)] = Part.TRAIN
        frauds = (labels == 1) & (times >= self.train.start)
        for part, interval in ((Part.VALIDATION, self.validation), (Part.TEST, self.test)):
            for day in interval.days() if interval else ():
                known = np.unique(cards[frauds & (times < day.start - self.delay)])
                rows = np.flatnonzero(day.mask(times))
                parts[rows[~np.isin(cards[rows], known)]] = part
        return parts
