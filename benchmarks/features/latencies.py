"""How long single calls take, in microseconds, side by side: the machine's speed changes within a second."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Prepared = Callable[[int], Callable[[], object]]
"""Makes a call for so many requests, which are ready before it is timed."""
Clock = Callable[[], float]
_TURNS = 20
_UNMEASURED = 5


def in_turn(*sides: tuple[Prepared, int], clock: Clock = time.perf_counter) -> list[list[float]]:
    """Microseconds of each call of every side, a few of each in turn."""
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(_TURNS):
        for number, (prepared, calls) in enumerate(sides):
            found[number] += latencies(prepared, 1, calls // _TURNS, clock)
    return found


def latencies(prepared: Prepared, size: int, calls: int, clock: Clock = time.perf_counter) -> list[float]:
    """Microseconds of each of some calls, on requests made before."""
    waiting = [prepared(size) for _ in range(calls)]
    for call in waiting[:_UNMEASURED]:
        call()
    found = []
    for call in waiting:
        begun = clock()
        call()
        found.append((clock() - begun) * 1e6)
    return found


def percentiles(*rounds: list[float]) -> dict[str, Any]:
    """Over all rounds, which saw the machine at faster and slower times; and the least and greatest median of one."""
    ordered = sorted(call for one in rounds for call in one)
    medians = [statistics.median(one) for one in rounds]
    ends = {"p50 of a round, least and greatest": [min(medians), max(medians)]}
    return {"p50 µs": ordered[len(ordered) // 2], "p99 µs": ordered[int(len(ordered) * 0.99)], **ends}
