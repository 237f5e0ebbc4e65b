"""Compare and report: raw numbers as JSON, a table in Markdown and a plot, below benchmarks/results/."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.features import batch

PARTS = {"batch": batch.run}
RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run the chosen parts and write what was measured."""
    parser = argparse.ArgumentParser(prog="bench-features", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="a part; all of them by default")
    parser.add_argument("--pairs", type=int, default=15, help="interleaved pairs of each comparison (default 15)")
    given = parser.parse_args()
    for part in given.only or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            measured = PARTS[part](Path(folder), given.pairs)
        (RESULTS / f"features-{part}.json").write_text(json.dumps(measured, indent=1) + "\n")
        for name, found in measured.items():
            ours, peer, wall, cpu = found["ours"], found["peer"], found["wall"], found["cpu"]
            print(f"{name}: {ours['wall']:.2f} s ({ours['cpu']:.2f} CPU s), peer {peer['wall']:.2f} s")
            print(f"    wall {wall['median']:.2f} ({wall['low']:.2f} to {wall['high']:.2f})", end=", ")
            print(f"CPU {cpu['median']:.2f} ({cpu['low']:.2f} to {cpu['high']:.2f})")


if __name__ == "__main__":
    main()
