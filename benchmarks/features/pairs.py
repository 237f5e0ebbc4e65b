"""Ratios on a noisy machine: both sides in turn, many times, and an interval around the ratio of the medians."""

from __future__ import annotations

import gc
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import psutil

_RESAMPLES = 4_000


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock, and of the processors: this process and all it has started, ended ones among them."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Ratio:
    """How many times as much the peer takes: the ratio of the medians with its bootstrap 95 % interval."""

    median: float
    low: float
    high: float

    def at_least(self, target: float) -> str:
        """`shown` when the whole interval lies at the target or above, else `not shown`."""
        return "shown" if self.low >= target else "not shown"


def cost(call: Callable[[], object]) -> Cost:
    """What one call costs."""
    before, begun = _cpu(), time.perf_counter()
    call()
    return Cost(time.perf_counter() - begun, _cpu() - before)


def pairs(name: str, ours: Callable[[], object], peer: Callable[[], object], count: int) -> list[tuple[Cost, Cost]]:
    """Both sides in turn, the first of each pair by lot; one unmeasured turn of both before.

    The garbage of a turn is collected before the next, so that each side pays for its own and not for the other's.
    """
    ours()
    peer()
    gc.freeze()
    found = []
    for number in range(count):
        sides = {"ours": ours, "peer": peer}
        order = random.sample(list(sides), 2)
        costs = {side: _alone(sides[side]) for side in order}
        found.append((costs["ours"], costs["peer"]))
        print(
            f"{name} {number + 1}/{count}: {found[-1][0].wall:.3f} s, peer {found[-1][1].wall:.3f} s", file=sys.stderr
        )
    return found


def _alone(call: Callable[[], object]) -> Cost:
    gc.collect()
    return cost(call)


def ratio(measured: Sequence[tuple[float, float]]) -> Ratio:
    """The peer's median over ours, with an interval from resampled pairs."""
    chance = random.Random(7)
    resampled = sorted(_of([chance.choice(measured) for _ in measured]) for _ in range(_RESAMPLES))
    return Ratio(_of(measured), resampled[int(0.025 * _RESAMPLES)], resampled[int(0.975 * _RESAMPLES)])


def compared(measured: Sequence[tuple[Cost, Cost]]) -> dict[str, object]:
    """Medians of both sides and the ratios of wall and CPU, as plain values; the raw pairs beside them."""
    wall = [(ours.wall, peer.wall) for ours, peer in measured]
    cpu = [(ours.cpu, peer.cpu) for ours, peer in measured]
    return {
        "ours": {"wall": statistics.median(a for a, _ in wall), "cpu": statistics.median(a for a, _ in cpu)},
        "peer": {"wall": statistics.median(b for _, b in wall), "cpu": statistics.median(b for _, b in cpu)},
        "wall": asdict(ratio(wall)),
        "cpu": asdict(ratio(cpu)),
        "pairs": [{"ours": asdict(ours), "peer": asdict(peer)} for ours, peer in measured],
    }


def _of(measured: Sequence[tuple[float, float]]) -> float:
    return statistics.median(peer for _, peer in measured) / statistics.median(ours for ours, _ in measured)


def _cpu() -> float:
    me = psutil.Process()
    own = me.cpu_times()
    # of itself a process knows it to the nanosecond, of others in ticks of ten milliseconds
    total = time.process_time() + own.children_user + own.children_system
    for child in me.children(recursive=True):
        try:
            times = child.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
