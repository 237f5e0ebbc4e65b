"""The page of what was measured: each target with its figure and whether it was shown, then the raw numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.features import lines, provenance, sides
from benchmarks.lake import targets
from benchmarks.lake.sides import SIDES
from benchmarks.lake.targets import rates_of

Found = dict[str, Any]
PARTS = ("contract", "verdict", "backfill", "stream")
WHY = Path(__file__).with_name("why.json")
"""What is known of why a target was missed, by the name of its line."""
_INTRODUCTION = (
    "Medians, and the range of all runs. A target counts as shown when the worst run keeps it; a ratio to another side",
    "when there are 15 pairs or more and the whole bootstrap 95 % interval does. CPU is what the processors spent.",
)


def page(parts: dict[str, Found]) -> str:
    """The page of the parts that were measured."""
    found = list(targets.lines(parts))
    told = ["# The lake: speed", "", *_INTRODUCTION, "", *lines.table(found), *lines.reasons(found, WHY)]
    told += ["What stands on either side:", "", *sides.table(SIDES.values())]
    told += ["Where the figures come from:", "", *provenance.table(parts), "## Raw numbers"]
    for name, one in parts.items():
        told += ["", f"{name.capitalize()}:", "", *_RAW[name](one)]
    return "\n".join(told) + "\n"


def write(results: Path) -> None:
    """Write lake.md beside the raw numbers."""
    files = {name: results / f"lake-{name}.json" for name in PARTS}
    parts = {name: json.loads(path.read_text()) for name, path in files.items() if path.is_file()}
    (results / "lake.md").write_text(page(parts))


def _contract(found: Found) -> Iterator[str]:
    for key, told in found["comparisons"].items():
        yield from _pairs(told, f"{SIDES[key].name}, the contract", f"{SIDES[key].name}, reading and writing")


def _backfill(found: Found) -> Iterator[str]:
    for name, told in found["views"].items():
        yield from _pairs(told, *(f"{name}, after {days} days" for days in told["MB"]))


def _pairs(told: Found, ours: str, other: str) -> Iterator[str]:
    for side, what in (("ours", ours), ("peer", other)):
        for kind in ("wall", "cpu"):
            yield f"- {what}, {kind} s: {_listed([pair[side][kind] for pair in told['pairs']])}"


def _verdict(found: Found) -> Iterator[str]:
    for one in found["after"]:
        for kind in ("wall", "cpu"):
            yield f"- after {one['days']} days, {kind} s: {_listed([run[kind] for run in one['runs']])}"


def _stream(found: Found) -> Iterator[str]:
    for what, rates in zip(("events/s", "events for each second of CPU"), rates_of(found), strict=True):
        yield f"- {what}: {_listed(rates, ',.0f')}"
    for name in ("p50 ms", "p99 ms", "most ms", "never seen"):
        yield f"- event to feature, {name}: {_listed([one[name] for one in found['fresh']], ',.0f')}"


_RAW: dict[str, Callable[[Found], Iterator[str]]] = {
    "contract": _contract,
    "verdict": _verdict,
    "backfill": _backfill,
    "stream": _stream,
}


def _listed(values: Sequence[float], form: str = ".2f") -> str:
    return ", ".join(f"{value:{form}}" for value in values)
