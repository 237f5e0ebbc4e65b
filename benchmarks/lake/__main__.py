"""Measure and report: raw numbers as JSON below benchmarks/results/, and the table beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.features import provenance
from benchmarks.lake import backfill, contract, report, stream, verdict

PARTS = {"contract": contract.run, "verdict": verdict.run, "backfill": backfill.run, "stream": stream.run}
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run the chosen parts and write what was measured."""
    parser = argparse.ArgumentParser(prog="bench-lake", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; all of them by default")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs, or runs, of each (default 15)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the raw numbers go")
    parser.add_argument("--page", action="store_true", help="measure nothing, and write the page anew")
    given = parser.parse_args()
    for part in [] if given.page else given.only or PARTS:
        provenance.write(given.results / f"lake-{part}.json", provenance.measured(PARTS[part], given.pairs))
    report.write(given.results)
    print(given.results / "lake.md")


if __name__ == "__main__":
    main()
