"""Compute: the values of a pipeline for every event of some files.

    spark-submit spark_jobs/compute.py --pipeline handbook --events transactions.parquet --out values.parquet

What is done is told in `sluice.lake.computing`; Spark's workers read and write with Arrow, and no row enters the JVM.
Files must be on storage that all workers see.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from sluice.lake.computing import compute, request
from sluice.settings import settings
from spark_jobs import arguments
from spark_jobs.arguments import run
from spark_jobs.workers import spark_workers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compute", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
    )
    parser.add_argument(
        "--events",
        required=True,
        type=Path,
        help="parquet file, Delta table, or a folder with a file per stream",
    )
    parser.add_argument("--out", required=True, type=Path, help="a .parquet file, or the folder of a Delta table")
    parser.add_argument(
        "--lake",
        type=arguments.lake,
        default=settings().places.lake_uri,
        help="path or URI of the lake, for as-of tables",
    )
    parser.add_argument("--summary", type=Path, help="where to write what was done, as JSON")
    return parser.parse_args()


def main() -> None:
    """Compute on the workers, and tell what was done."""
    given = _arguments()
    asked = request(given.pipeline, given.events, given.out, given.lake)
    with spark_workers("compute") as workers:
        done = compute(workers, asked)
    if given.summary:
        given.summary.write_text(json.dumps(asdict(done)))


if __name__ == "__main__":
    run(main)
