"""The event clock of a demo, which is moved by hand."""

from __future__ import annotations

from sluice.clock import FileClock, open_clock
from sluice.errors import Outage
from sluice.settings import settings


def clock() -> FileClock:
    """The clock that every process of the demo reads."""
    found = open_clock(settings().places.clock)
    if not isinstance(found, FileClock):
        raise Outage("a demo needs a clock that it can move", where="SLUICE_CLOCK", allowed="file:///path")
    return found
