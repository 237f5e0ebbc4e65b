"""Days of 10,000 rows, as many as are asked for: the Handbook's half year over and over."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluice.clock import from_datetime
from sluice.lake.delivery import Delivery

ROWS = 10_000
_IDS, _SPAN = 10_000_000, pa.scalar(183 * 86_400_000_000, pa.duration("us"))
"""By how much ids and times go on where the Handbook's half year begins again."""


def delivered(pipeline: str, lake: Path, rows: pa.Table, number: int) -> Delivery:
    """The delivery of a day to a lake: its file lies beside it."""
    path = lake.parent / f"{lake.name}-{number:03}.parquet"
    day = _day(rows, number)
    pq.write_table(day, path)
    at = from_datetime(day.column("TX_DATETIME")[-1].as_py())
    return Delivery(pipeline, str(lake), f"day-{number:03}", at, files=[("transactions", path)])


def _day(rows: pa.Table, number: int) -> pa.Table:
    """Another day than all before, with ids and times that go on."""
    turn, place = divmod(number, len(rows) // ROWS)
    day = rows.slice(place * ROWS, ROWS)
    for name, step in (("TRANSACTION_ID", pa.scalar(_IDS)), ("TX_DATETIME", _SPAN)):
        for _ in range(turn):
            day = day.set_column(day.schema.get_field_index(name), name, pc.add(day.column(name), step))
    return day
