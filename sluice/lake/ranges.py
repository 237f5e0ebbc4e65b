"""Ranges of days: the vectors of some are computed, and kept, before those of others are begun.

A range takes in the time before it as far as no other does: the first one of all begins with time, the last one ends
with it. So every row that a window counts lies in one range, also before the first scored event and after the last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sluice.declare.durations import DAY
from sluice.errors import UserError
from sluice.lake.days import Days


@dataclass(frozen=True)
class Range:
    """Days on which something is scored, and how many events of each."""

    days: tuple[tuple[int, int], ...]
    begin: int | None
    end: int | None
    """The moments `begin` ≤ t < `end`, where these are."""

    @property
    def name(self) -> str:
        """Tells it from every other range."""
        return str(Days(self.days[0][0] * DAY, self.days[-1][0] * DAY + DAY)) if self.days else "no-days"

    @property
    def events(self) -> int:
        """How many events are scored in it."""
        return sum(events for _, events in self.days)


@dataclass(frozen=True)
class Sheet:
    """The vectors that one task writes as a file: those of a bucket of days, in a span of time."""

    part: int
    begin: int | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        """Tells it from every other sheet of its range."""
        return f"{self.part:05}" if self.begin is None else f"{self.part:05}-{self.begin}"


def ranges(
    days: Mapping[int, int], most: int, *, done: AbstractSet[int] = frozenset(), asked: Days | None = None
) -> list[Range]:
    """The days that are not done yet, or those of them that are asked for, in ranges of at most so many events.

    A day stays whole. UserError when nothing was ever scored on the days asked for.
    """
    if not days:
        return [] if done else [Range((), None, None)]
    order = sorted(days)
    mine = [day for day in order if asked is None or asked.first <= day * DAY < asked.until]
    if not mine:
        known = Days(order[0] * DAY, order[-1] * DAY + DAY)
        raise UserError(f"there are no events on {asked}", where="--days", allowed=f"days of {known}")
    return [_range(days, order, some) for some in _together(days, order, set(mine) - done, most)]


def sheets(found: Range, parts: Mapping[int, Sequence[int]], most: int) -> list[Sheet]:
    """The vectors of a range, in sheets of at most so many events or of a day; a day with more is cut by its hours.

    `parts` has the days of every bucket.
    """
    events = dict(found.days)
    made: list[Sheet] = []
    for part, days in sorted(parts.items()):
        waiting: list[int] = []
        for day in sorted(days):
            if waiting and sum(events[one] for one in waiting) + events[day] > most:
                made.append(Sheet(part, waiting[0] * DAY, waiting[-1] * DAY + DAY))
                waiting = []
            waiting.append(day)
            if events[day] > most:
                made += _hours(part, day, -(-events[day] // most))
                waiting = []
        if waiting:
            made.append(Sheet(part, waiting[0] * DAY, waiting[-1] * DAY + DAY))
    return made


def _range(days: Mapping[int, int], order: Sequence[int], some: Sequence[int]) -> Range:
    after = order.index(some[-1]) + 1
    begin = None if some[0] == order[0] else some[0] * DAY
    end = None if after == len(order) else order[after] * DAY
    return Range(tuple((day, days[day]) for day in some), begin, end)


def _together(days: Mapping[int, int], order: Sequence[int], left: AbstractSet[int], most: int) -> Iterator[list[int]]:
    """Days that are left and follow each other, as many as have at most so many events together."""
    waiting: list[int] = []
    for day in order:
        full = sum(days[one] for one in waiting) + days[day] > most
        if waiting and (day not in left or full):
            yield waiting
            waiting = []
        if day in left:
            waiting.append(day)
    if waiting:
        yield waiting


def _hours(part: int, day: int, pieces: int) -> Iterator[Sheet]:
    """A day in spans of time: twice as many as would do if its events came evenly."""
    size = -(-DAY // (2 * pieces))
    for begin in range(day * DAY, day * DAY + DAY, size):
        yield Sheet(part, begin, min(begin + size, day * DAY + DAY))
