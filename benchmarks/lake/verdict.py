"""A day of 10,000 rows from its file to the verdict and into history, on top of a month of such days and of ten."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.features.data import handbook
from benchmarks.features.pairs import Cost, cost
from benchmarks.lake.days import ROWS, delivered
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest

AFTER = (30, 300)


def run(folder: Path, count: int) -> dict[str, Any]:
    """What each of some days costs after a month, and after ten; Spark is not started for so few rows.

    Nobody keeps the lake meanwhile: every file of every day is there.
    """
    rows, spent = handbook(), list[Cost]()
    for number in range(AFTER[-1] + count):
        delivery = delivered("handbook", folder / "lake", rows, number)
        spent.append(cost(lambda given=delivery: ingest(Here(), given)))
        print(f"verdict {number}: {spent[-1].wall:.2f} s, {spent[-1].cpu:.2f} s of CPU", file=sys.stderr)
    after = [{"days": days, "runs": [asdict(one) for one in spent[days : days + count]]} for days in AFTER]
    return {"rows": ROWS, "after": after}
