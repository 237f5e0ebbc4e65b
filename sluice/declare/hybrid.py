"""A stream whose history comes from files and whose present comes from a topic, and the moment between the two."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sluice.clock import from_datetime, to_datetime
from sluice.declare.arguments import check_fields
from sluice.declare.durations import Duration, duration
from sluice.errors import DeclarationError


@dataclass(frozen=True)
class Hybrid:
    """History from files up to a cut, the topic from there on; an event that both have counts once, by its id."""

    until: str
    """The cut, as `2026-01-31T00:00:00Z`: what happened before it is in files, the rest in the topic."""
    overlap: Duration = field(default="0s", kw_only=True)
    """From how long before the cut on the topic has every event too."""
    silence: Duration | None = field(default=None, kw_only=True)
    """How long nothing may happen around the cut; the stream's `freshness` by default."""

    def __post_init__(self) -> None:
        check_fields(self, where="Hybrid")
        _moment(self.until)
        object.__setattr__(self, "overlap", duration(self.overlap, where="Hybrid.overlap"))
        if self.silence is not None:
            object.__setattr__(self, "silence", duration(self.silence, where="Hybrid.silence"))

    @property
    def cut(self) -> int:
        """The cut in microseconds."""
        return _moment(self.until)


def _moment(text: str) -> int:
    try:
        found = from_datetime(dt.datetime.fromisoformat(text))
        to_datetime(found)  # an hour west of the last year is in none
    except (ValueError, OverflowError):
        raise DeclarationError(
            f"until={text!r}", where="Hybrid", allowed="a time such as 2026-01-31T00:00:00Z"
        ) from None
    return found
