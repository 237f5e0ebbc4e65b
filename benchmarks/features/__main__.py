"""Compare and report: raw numbers as JSON below benchmarks/results/, then the table and the plot."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.features import batch, kafka, knowledge, large, provenance, reads, report, rich, stream

PARTS = {
    "batch": batch.run,
    "large": large.run,
    "knowledge": knowledge.run,
    "stream": stream.run,
    "kafka": kafka.run,
    "reads": reads.run,
    "rich": rich.run,
}
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run the chosen parts and write what was measured."""
    parser = argparse.ArgumentParser(prog="bench-features", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; all of them by default")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs of each comparison (default 15)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the raw numbers go")
    parser.add_argument("--page", action="store_true", help="measure nothing, and write the page anew")
    given = parser.parse_args()
    for part in [] if given.page else given.only or PARTS:
        path = given.results / f"features-{part}.json"
        provenance.write(path, provenance.measured(PARTS[part], given.pairs))
        print(path)
    report.write(given.results)
    print(given.results / "features.md")


if __name__ == "__main__":
    main()
