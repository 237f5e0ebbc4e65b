"""Compute: the values of a pipeline for every event of some files.

    spark-submit spark_jobs/compute.py --pipeline handbook --events transactions.parquet --out values.parquet

What is done is told in `sluice.lake.computing`; Spark gives the work to one of its workers, which reads and writes with
Arrow. Files must be on storage that all workers see.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import pyarrow.parquet as pq

from sluice.lake.computing import Computed, compute, request
from sluice.settings import settings
from spark_jobs.arguments import run
from spark_jobs.workers import spark_workers


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compute", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipeline", required=True, help="a registered name or the path of a .py file")
    parser.add_argument("--events", required=True, type=Path, help="a parquet file, or a folder with one per stream")
    parser.add_argument("--out", required=True, type=Path, help="the parquet file to write")
    parser.add_argument("--lake", default=settings().places.lake_uri, help="URI of the lake, for as-of tables")
    parser.add_argument("--summary", type=Path, help="where to write what was done, as JSON")
    return parser.parse_args()


def main() -> None:
    """Compute on a worker, and tell what was done."""
    given = _arguments()
    asked = request(given.pipeline, given.events, given.out, given.lake)
    rows = sum(pq.ParquetFile(path).metadata.num_rows for _, path in asked.files)
    with spark_workers("compute") as workers:
        done: list[Computed] = workers.each(compute, [asked], rows=rows)
    if given.summary:
        given.summary.write_text(json.dumps(asdict(done[0])))


if __name__ == "__main__":
    run(main)
