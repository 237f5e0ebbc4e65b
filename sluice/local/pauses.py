"""How long to wait between two looks at what another process is doing."""

from __future__ import annotations

from collections.abc import Iterator

FIRST = 0.02
"""Seconds; small programs are up, or gone, sooner than large ones."""


def pauses(longest: float) -> Iterator[float]:
    """Seconds to wait before each next look: few at first, twice as many each time, never more than the longest."""
    pause = FIRST
    while True:
        yield min(pause, longest)
        pause *= 2
