"""A day of 10,000 rows from its file to the verdict and into history, on top of a month of such days."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.features.data import handbook
from benchmarks.features.pairs import cost
from sluice.clock import from_datetime
from sluice.errors import GateStopped
from sluice.lake.delivery import Delivery
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest

ROWS, DAYS = 10_000, 30


def run(folder: Path, count: int) -> dict[str, Any]:
    """Seconds of each of some days after the first month; Spark is not started for so few rows."""
    rows, taken = handbook(), []
    for number in range(DAYS + count):
        day = rows.slice(number * ROWS, ROWS)
        path = folder / f"day-{number:03}.parquet"
        pq.write_table(day, path)
        at = from_datetime(day.column("TX_DATETIME")[-1].as_py())
        delivery = Delivery("handbook", str(folder / "lake"), path.stem, at, files=[("transactions", path)])
        spent = cost(lambda given=delivery: _ingest(given))
        if number >= DAYS:
            taken.append(spent.wall)
            print(f"verdict {number}: {spent.wall:.2f} s", file=sys.stderr)
    return {"rows": ROWS, "days before": DAYS, "seconds": statistics.median(taken), "runs": taken}


def _ingest(delivery: Delivery) -> None:
    try:
        ingest(Here(), delivery)
    except GateStopped as stopped:
        print(stopped, file=sys.stderr)
