"""Lines of a table of targets: what was asked, what was measured, and whether it was shown."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SHOWN, NOT_SHOWN = "shown", "not shown"
UNMEASURED = "not measured yet"
PAIRS = 15
"""A ratio of fewer interleaved pairs shows nothing."""
Told = Mapping[str, float]
"""A ratio as it lies in the raw numbers: `median`, `low` and `high`."""


@dataclass(frozen=True)
class Line:
    """One claim: what was asked, what was measured, and whether the whole interval lies on the right side."""

    what: str
    target: str
    measured: str
    verdict: str
    ratio: tuple[float, float, float, float] | None = None
    """Median, low, high and the target of a ratio that is to be drawn."""


def at_least(what: str, told: Told, target: float, pairs: int, *, more: str = "") -> Line:
    """How many times as much the peer takes, which is to be so much or more."""
    ends = (told["median"], told["low"], told["high"], target)
    return Line(what, f"≥ {target:g}×", interval(told, pairs) + more, _shown(told["low"] >= target, pairs), ends)


def at_most(what: str, told: Told, target: float, pairs: int, *, more: str = "") -> Line:
    """How many times as much something takes as something else, which is to be so much or less."""
    return Line(what, f"≤ {target:g}×", interval(told, pairs) + more, _shown(told["high"] <= target, pairs))


def no_dearer(what: str, told: Told, pairs: int, *, more: str = "") -> Line:
    """How many times as much something takes as something else, which is to be the same within noise."""
    return Line(what, "the same", interval(told, pairs, ".3f") + more, _shown(told["low"] <= 1, pairs))


def limit(what: str, value: float, bound: float, unit: str, *, most: bool = True, more: str = "") -> Line:
    """A figure that is to be at most its bound, or else at least."""
    holds = value <= bound if most else value >= bound
    sign = "≤" if most else "≥"
    form = ",.0f" if abs(value) >= 1_000 else ",.4g"
    return Line(what, f"{sign} {bound:,g} {unit}", f"{value:{form}} {unit}{more}", SHOWN if holds else NOT_SHOWN)


def rate(what: str, runs: Sequence[float], least: float, unit: str) -> Line:
    """How much was done in a second; the slowest run has to keep the target."""
    ends = f"{statistics.median(runs):,.0f} ({min(runs):,.0f} to {max(runs):,.0f}) {unit}; {len(runs)} runs"
    return Line(what, f"≥ {least:,} {unit}", ends, SHOWN if min(runs) >= least else NOT_SHOWN)


def unmeasured(what: str, target: str = "") -> Line:
    """A claim that nobody has measured in its present form."""
    return Line(what, target, UNMEASURED, NOT_SHOWN if target else "")


def interval(told: Told, pairs: int = PAIRS, form: str = ".2f") -> str:
    """A ratio with its 95 % interval, and how few pairs it is of, if they are too few."""
    few = "" if pairs >= PAIRS else f"; {pairs} pairs, where {PAIRS} are needed"
    return f"{told['median']:{form}} ({told['low']:{form}} to {told['high']:{form}}){few}"


def table(lines: Sequence[Line]) -> Iterator[str]:
    """The lines as rows of a page."""
    yield from ("| what | target | measured | |", "|---|---|---|---|")
    yield from (f"| {line.what} | {line.target} | {line.measured} | {line.verdict} |" for line in lines)
    yield ""


def reasons(lines: Sequence[Line], known: Path) -> Iterator[str]:
    """What is known of the lines, by their names; one that was not shown for no known reason is told as such."""
    why: Mapping[str, str] = json.loads(known.read_text())
    measured = [line for line in lines if line.measured != UNMEASURED]
    told = [line for line in measured if line.what in why or line.verdict == NOT_SHOWN]
    if told:
        yield from ("What was not shown, and why; and what else belongs to a figure:", "")
        yield from (f"- {line.what}: {why.get(line.what, 'nobody has looked into it yet')}" for line in told)
        yield ""


def _shown(holds: bool, pairs: int) -> str:
    return SHOWN if holds and pairs >= PAIRS else NOT_SHOWN
