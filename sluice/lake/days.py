"""Days as a person writes them: one, or the first and the last of several."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sluice.clock import from_datetime, to_datetime
from sluice.declare.durations import DAY
from sluice.errors import UserError


@dataclass(frozen=True)
class Days:
    """The moments `first` ≤ t < `until`, whole days of UTC, in microseconds."""

    first: int
    until: int

    def __str__(self) -> str:
        first, last = (f"{to_datetime(moment):%Y-%m-%d}" for moment in (self.first, self.until - DAY))
        return first if first == last else f"{first}..{last}"


def days(text: str, *, where: str) -> Days:
    """The days that a text such as `2026-01-05` or `2026-01-05..2026-01-07` names, both included."""
    first, several, last = text.partition("..")
    try:
        moments = [_begin(first), _begin(last if several else first)]
    except ValueError:
        moments = []
    if not moments or moments[0] > moments[1]:
        raise UserError(
            f"{text!r} is no day", where=where, allowed="a day such as 2026-01-05, or 2026-01-05..2026-01-07"
        )
    return Days(moments[0], moments[1] + DAY)


def _begin(day: str) -> int:
    return from_datetime(dt.datetime.combine(dt.date.fromisoformat(day), dt.time(tzinfo=dt.UTC)))
