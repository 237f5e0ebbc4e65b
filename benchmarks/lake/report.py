"""What was measured as a page: each target with its median and its range, then the raw numbers."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_MOST_S, _LEAST, _P50, _P99 = 2.0, 5_000, 250, 1_000
"""Seconds of a day, events a second, and milliseconds from an event to its feature."""


def lines(results: Path) -> Iterator[str]:
    """The page from the JSON files beside it."""
    found = {name: results / f"lake-{name}.json" for name in ("contract", "verdict", "stream")}
    read = {name: json.loads(path.read_text()) for name, path in found.items() if path.exists()}
    yield from ("# The lake: speed", "")
    yield "Medians, and the range of all runs. A target counts as shown when the worst run keeps it; for the contract,"
    yield "when the whole bootstrap 95 % interval of the ratio does. CPU is what the processors spent."
    yield from ("", "| what | target | measured | |", "|---|---|---|---|")
    for name, one in read.items():
        yield from TARGETS[name](one)
    yield from ("", "## Raw numbers")
    for name, one in read.items():
        load = f"load of the machine {one['load before']:.1f} before and {one['load after']:.1f} after"
        yield from ("", f"{name.capitalize()} ({one['cores']} cores, {load}):", "")
        yield from RAW[name](one)


def _contract(found: dict[str, Any]) -> Iterator[str]:
    for kind, unit in (("wall", "s"), ("cpu", "s of CPU")):
        one, ours, peer = found[kind], found["ours"][kind], found["peer"][kind]
        told = f"{one['median']:.2f} ({one['low']:.2f} to {one['high']:.2f}); {ours:.2f} {unit} beside {peer:.2f}"
        what = f"contract of {found['rows']:,} rows beside reading and writing them, {kind}"
        yield f"| {what} | ≥ 1× | {told} | {_shown(one['low'] >= 1)} |"


def _contract_raw(found: dict[str, Any]) -> Iterator[str]:
    for side, what in (("ours", "contract"), ("peer", "read and write")):
        for kind in ("wall", "cpu"):
            yield f"- {what}, {kind} s: {_listed([pair[side][kind] for pair in found['pairs']])}"


def _verdict(found: dict[str, Any]) -> Iterator[str]:
    for one in found["after"]:
        wall, cpu = ([run[kind] for run in one["runs"]] for kind in ("wall", "cpu"))
        told = f"{_range(wall)} s; {_range(cpu)} s of CPU"
        what = f"a day of {found['rows']:,} rows into history, after {one['days']} such days"
        yield f"| {what} | ≤ {_MOST_S:g} s | {told} | {_shown(max(wall) <= _MOST_S)} |"


def _verdict_raw(found: dict[str, Any]) -> Iterator[str]:
    for one in found["after"]:
        for kind in ("wall", "cpu"):
            yield f"- after {one['days']} days, {kind} s: {_listed([run[kind] for run in one['runs']])}"


def _stream(found: dict[str, Any]) -> Iterator[str]:
    rates, per_cpu = _rates(found)
    what = "Kafka to bronze and tiles, both on one core, events/s"
    yield f"| {what} | ≥ {_LEAST:,} | {_range(rates, ',.0f')} | {_shown(min(rates) >= _LEAST)} |"
    yield f"| the same, events for each second of CPU | | {_range(per_cpu, ',.0f')} | |"
    for name, most in (("p50 ms", _P50), ("p99 ms", _P99)):
        delays = [one[name] for one in found["fresh"]]
        unseen = sum(one["never seen"] for one in found["fresh"])
        what = f"event to feature at {found['rate']:,} events/s beside the archive, {name}"
        told = f"{_range(delays, ',.0f')}; {found['fresh'][0]['probes']} probes a run"
        yield f"| {what} | ≤ {most:,} | {told} | {_shown(max(delays) <= most and not unseen)} |"


def _stream_raw(found: dict[str, Any]) -> Iterator[str]:
    for what, rates in zip(("events/s", "events for each second of CPU"), _rates(found), strict=True):
        yield f"- {what}: {_listed(rates, ',.0f')}"
    for name in ("p50 ms", "p99 ms", "most ms", "never seen"):
        yield f"- event to feature, {name}: {_listed([one[name] for one in found['fresh']], ',.0f')}"


def _rates(found: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Events for each second of the clock, and of the processor."""
    by_wall, by_cpu = ([found["events"] / run[kind] for run in found["runs"]] for kind in ("wall", "cpu"))
    return by_wall, by_cpu


TARGETS = {"contract": _contract, "verdict": _verdict, "stream": _stream}
RAW = {"contract": _contract_raw, "verdict": _verdict_raw, "stream": _stream_raw}


def _range(values: Sequence[float], form: str = ".2f") -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def _listed(values: Sequence[float], form: str = ".2f") -> str:
    return ", ".join(f"{value:{form}}" for value in values)


def _shown(holds: bool) -> str:
    return "shown" if holds else "not shown"
