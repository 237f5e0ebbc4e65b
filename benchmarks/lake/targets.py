"""Every target of the lake's speed, part by part, as far as it was measured."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.features.lines import NOT_SHOWN, SHOWN, Line, at_least, no_dearer, rate, unmeasured
from benchmarks.lake.sides import SIDES

Found = dict[str, Any]
_MOST_S, _LEAST, _P50, _P99 = 2.0, 5_000, 250, 1_000
"""Seconds of a day, events a second, and milliseconds from an event to its feature."""


FEW, MANY = 30, 300
"""Days of history, to which one is added."""
VIEWS = ("windows", "windows and lifetimes")
"""What is kept up by the backfill of a new day."""


def lines(parts: dict[str, Found]) -> Iterator[Line]:
    """Every target; a part that is not there was not measured."""
    for name, targets in _TARGETS.items():
        yield from targets(parts.get(name, {})) if name in {*parts, "backfill"} else [unmeasured(f"the part `{name}`")]


def _contract(found: Found) -> Iterator[Line]:
    for key, sides in SIDES.items():
        told = found["comparisons"].get(key)
        for kind, unit in (("wall", "s"), ("cpu", "s of CPU")):
            what = f"{sides.name}, {kind}"
            if told is None:
                yield unmeasured(what, "≥ 1×")
            else:
                more = f"; {told['ours'][kind]:.2f} {unit} beside {told['peer'][kind]:.2f}"
                yield at_least(what, told[kind], 1, len(told["pairs"]), more=more)


def _verdict(found: Found) -> Iterator[Line]:
    for one in found["after"]:
        wall, cpu = ([run[kind] for run in one["runs"]] for kind in ("wall", "cpu"))
        what = f"a day of {found['rows']:,} rows into history, after {one['days']} such days"
        yield _within(what, wall, _MOST_S, "s", form=".2f", more=f"; {_range(cpu)} s of CPU")


def _backfill(found: Found) -> Iterator[Line]:
    for name in VIEWS:
        told = found.get("views", {}).get(name)
        for after, side in ((FEW, "ours"), (MANY, "peer")):
            what = f"a new day of 10,000 rows into vectors and tiles, {name}, after {after} days"
            yield Line(what, "", _day(told, after, side), "") if told else unmeasured(what)
        for kind in ("wall", "cpu"):
            what = f"a new day, {name}, after {MANY} days beside after {FEW}, {kind}"
            yield no_dearer(what, told[kind], len(told["pairs"])) if told else unmeasured(what, "the same")


def _day(told: Found, after: int, side: str) -> str:
    wall, cpu = ([pair[side][kind] for pair in told["pairs"]] for kind in ("wall", "cpu"))
    return f"{_range(wall)} s; {_range(cpu)} s of CPU; {statistics.median(told['MB'][str(after)]):,.0f} MB read"


def _stream(found: Found) -> Iterator[Line]:
    rates, per_cpu = rates_of(found)
    yield rate("Kafka to bronze and tiles, both on one core", rates, _LEAST, "events/s")
    yield Line("the same, events for each second of CPU", "", _range(per_cpu, ",.0f"), "")
    for name, most in (("p50 ms", _P50), ("p99 ms", _P99)):
        delays = [one[name] for one in found["fresh"]]
        unseen = sum(one["never seen"] for one in found["fresh"])
        what = f"event to feature at {found['rate']:,} events/s beside the archive, {name[:3]}"
        more = f"; {found['fresh'][0]['probes']} probes a run"
        line = _within(what, delays, most, "ms", form=",.0f", more=more)
        yield Line(line.what, line.target, f"{line.measured}; {unseen} never seen", NOT_SHOWN) if unseen else line


def rates_of(found: Found) -> tuple[list[float], list[float]]:
    """Events for each second of the clock, and of the processor."""
    by_wall, by_cpu = ([found["events"] / run[kind] for run in found["runs"]] for kind in ("wall", "cpu"))
    return by_wall, by_cpu


def _within(what: str, runs: Sequence[float], most: float, unit: str, *, form: str, more: str) -> Line:
    """Figures of some runs, of which the worst has to keep the target."""
    measured = f"{_range(runs, form)} {unit}; {len(runs)} runs{more}"
    return Line(what, f"≤ {most:,g} {unit}", measured, SHOWN if max(runs) <= most else NOT_SHOWN)


def _range(values: Sequence[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


_TARGETS: dict[str, Callable[[Found], Iterator[Line]]] = {
    "contract": _contract,
    "verdict": _verdict,
    "backfill": _backfill,
    "stream": _stream,
}
