"""A new day of 10,000 rows into vectors and tiles, by the backfill that goes on from the one before.

After 30 days of history and after 300, each of which was a delivery of its own and every tenth a backfill, and with a
view over lifetimes beside the windows or without: four lakes, to which days are added in turn. Nobody keeps them
meanwhile: every file of all of them is there.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.pairs import Cost, compared, cost
from benchmarks.lake.days import delivered
from benchmarks.lake.targets import FEW, MANY, VIEWS
from sluice.lake.delivery import Delivery
from sluice.lake.plan import Plan, parts_for
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from spark_jobs.ingest import ingest

_BENCHMARKS = Path(__file__).parents[1]
_EVERY = 10
"""Days of the history between two backfills: with one for each, filling the lakes would take an hour."""
PIPELINES = dict(zip(VIEWS, (_BENCHMARKS / "features/book.py", _BENCHMARKS / "lake/lifetime.py"), strict=True))


@dataclass(frozen=True)
class Day:
    """What one more day took, and what the backfill read of files."""

    cost: Cost
    megabytes: float


def run(folder: Path, count: int) -> dict[str, Any]:
    """What days cost after a short history (ours) and after a long one (the peer), with lifetimes and without."""
    rows = handbook()
    lakes = {name: filled(folder / str(number), path, rows) for number, (name, path) in enumerate(PIPELINES.items())}
    days: dict[str, list[dict[int, Day]]] = {name: [] for name in PIPELINES}
    for number in range(count):
        for name, path in PIPELINES.items():
            order = random.sample((FEW, MANY), 2)
            days[name].append({after: _added(path, lakes[name][after], rows, after + number) for after in order})
    return {"views": {name: _told(mine) for name, mine in days.items()}}


def filled(folder: Path, pipeline: Path, rows: pa.Table) -> dict[int, Path]:
    """Lakes with few days and with many: the second, and how it was when it had few."""
    lakes = {FEW: folder / "few", MANY: folder / "many"}
    folder.mkdir()
    for number in range(MANY):
        if number == FEW:
            shutil.copytree(lakes[MANY], lakes[FEW])
        delivery = delivered(str(pipeline), lakes[MANY], rows, number)
        ingest(Here(), delivery)
        if number % _EVERY == _EVERY - 1:
            backfill(Here(), _plan(delivery), tell=_quietly)
        print(f"{pipeline.stem}, day {number}", file=sys.stderr)
    return lakes


def _added(pipeline: Path, lake: Path, rows: pa.Table, number: int) -> Day:
    """Deliver a day to a lake, and measure the backfill that follows it."""
    delivery = delivered(str(pipeline), lake, rows, number)
    ingest(Here(), delivery)
    plan, before = _plan(delivery), _megabytes()
    spent = cost(lambda: backfill(Here(), plan, tell=_quietly))
    found = Day(spent, _megabytes() - before)
    print(f"{pipeline.stem}, {lake.name} {number}: {found}", file=sys.stderr)
    return found


def _plan(delivery: Delivery) -> Plan:
    tables = delivery.tables()
    base = tables.version("batches")
    return Plan(delivery.pipeline, delivery.lake, base, delivery.at, parts_for(tables, base))


def _quietly(_: str) -> None:
    """What a backfill tells of itself is not shown."""


def _told(days: Sequence[dict[int, Day]]) -> dict[str, Any]:
    read = {str(after): [round(day[after].megabytes, 1) for day in days] for after in (FEW, MANY)}
    return {"MB": read, **compared([(day[FEW].cost, day[MANY].cost) for day in days])}


def _megabytes() -> float:
    """What this process has read of files, of the cache or not."""
    return float(psutil.Process().io_counters().read_chars) / 2**20
