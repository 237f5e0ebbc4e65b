"""Measure and report: raw numbers as JSON below benchmarks/results/, and the table beside them."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.lake import contract, stream, verdict

PARTS = {"contract": contract.run, "verdict": verdict.run, "stream": stream.run}
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run the chosen parts and write what was measured."""
    parser = argparse.ArgumentParser(prog="bench-lake", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; all of them by default")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs, or runs, of each (default 15)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the raw numbers go")
    given = parser.parse_args()
    for part in given.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            measured = PARTS[part](Path(folder), given.pairs)
        (given.results / f"lake-{part}.json").write_text(json.dumps(measured, indent=1) + "\n")
    (given.results / "lake.md").write_text("\n".join(_lines(given.results)) + "\n")
    print(given.results / "lake.md")


def _lines(results: Path) -> Iterator[str]:
    yield from ("# The lake: speed", "", "| what | target | measured | |", "|---|---|---|---|")
    for name, part in (("contract", _contract), ("verdict", _verdict), ("stream", _stream)):
        path = results / f"lake-{name}.json"
        if path.exists():
            yield from part(json.loads(path.read_text()))


def _contract(found: dict[str, Any]) -> Iterator[str]:
    for kind in ("wall", "cpu"):
        one = found[kind]
        told = f"{one['median']:.2f} ({one['low']:.2f} to {one['high']:.2f})"
        verdict = "" if kind == "cpu" else _shown(one["low"] >= 1)
        what = f"contract of {found['rows']:,} rows beside reading and writing them, {kind}"
        yield f"| {what} | ≥ 1× | {told} | {verdict} |"


def _verdict(found: dict[str, Any]) -> Iterator[str]:
    greatest = max(found["runs"])
    told = f"{found['seconds']:.2f} s, {greatest:.2f} at most in {len(found['runs'])} days"
    yield f"| a day of {found['rows']:,} rows into history | ≤ 2 s | {told} | {_shown(greatest <= 2)} |"


def _stream(found: dict[str, Any]) -> Iterator[str]:
    least = min(found["runs"])
    told = f"{found['events a second']:,.0f}, {least:,.0f} at least"
    yield f"| Kafka to bronze and tiles on one core, events/s | ≥ 5,000 | {told} | {_shown(least >= 5_000)} |"
    for name, most in (("p50 ms", 250), ("p99 ms", 1_000)):
        shown = _shown(found[name] <= most and not found["never seen"])
        what = f"event to feature at 1,000 events/s, {name}"
        yield f"| {what} | ≤ {most:,} | {found[name]:.0f} of {found['probes']} probes | {shown} |"


def _shown(holds: bool) -> str:
    return "shown" if holds else "not shown"


if __name__ == "__main__":
    main()
