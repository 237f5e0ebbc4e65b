"""Measure and report: raw numbers as JSON below benchmarks/results/, and the table beside them."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.lake import contract, report, stream, verdict

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
        measured = _measured(part, given.pairs)
        (given.results / f"lake-{part}.json").write_text(json.dumps(measured, indent=1) + "\n")
    (given.results / "lake.md").write_text("\n".join(report.lines(given.results)) + "\n")
    print(given.results / "lake.md")


def _measured(part: str, pairs: int) -> dict[str, Any]:
    """What a part measured, and how busy the machine was: others may have been at work on it."""
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = PARTS[part](Path(folder), pairs)
    return {"cores": os.cpu_count(), "load before": before, "load after": os.getloadavg()[0], **found}


if __name__ == "__main__":
    main()
