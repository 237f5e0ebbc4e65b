"""A day of 10,000 rows from its file to the verdict and into history, on top of a month of such days and of ten."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.features.data import handbook
from benchmarks.features.pairs import Cost, cost
from sluice.clock import from_datetime
from sluice.lake.delivery import Delivery
from sluice.lake.workers import Here
from spark_jobs.ingest import ingest

ROWS, AFTER = 10_000, (30, 300)
_IDS, _SPAN = 10_000_000, pa.scalar(183 * 86_400_000_000, pa.duration("us"))
"""By how much ids and times go on where the Handbook's half year begins again."""


def run(folder: Path, count: int) -> dict[str, Any]:
    """What each of some days costs after a month, and after ten; Spark is not started for so few rows.

    Nobody keeps the lake meanwhile: every file of every day is there.
    """
    rows, spent = handbook(), list[Cost]()
    for number in range(AFTER[-1] + count):
        path = folder / f"day-{number:03}.parquet"
        day = _day(rows, number)
        pq.write_table(day, path)
        at = from_datetime(day.column("TX_DATETIME")[-1].as_py())
        delivery = Delivery("handbook", str(folder / "lake"), path.stem, at, files=[("transactions", path)])
        spent.append(cost(lambda given=delivery: ingest(Here(), given)))
        print(f"verdict {number}: {spent[-1].wall:.2f} s, {spent[-1].cpu:.2f} s of CPU", file=sys.stderr)
    after = [{"days": days, "runs": [asdict(one) for one in spent[days : days + count]]} for days in AFTER]
    return {"rows": ROWS, "after": after}


def _day(rows: pa.Table, number: int) -> pa.Table:
    """Another day than all before: the Handbook over and over, with ids and times that go on."""
    turn, place = divmod(number, len(rows) // ROWS)
    day = rows.slice(place * ROWS, ROWS)
    for name, step in (("TRANSACTION_ID", pa.scalar(_IDS)), ("TX_DATETIME", _SPAN)):
        for _ in range(turn):
            day = day.set_column(day.schema.get_field_index(name), name, pc.add(day.column(name), step))
    return day
