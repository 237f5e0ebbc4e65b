"""The contract over the Handbook's rows, beside reading them from Delta and writing them to Delta once.

Where a table has typed columns (`features compute`) it is typed and judged column by column. What ingest, the fold and
the audit have are raw payloads, each decoded, typed and judged as a row; ingest also counts every slice for the gates'
rules about tables, and makes the shapes from which distributions are compared. Each is beside its own reading and
writing: the typed rows from one table to another, or bronze in and silver out.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.features.data import delta_table, handbook
from benchmarks.features.pairs import compared, pairs
from benchmarks.lake.sides import GATED, RAW, TYPED
from sluice.engine.versions import PUT
from sluice.lake.baselines.shapes import by_day, shapes_of, table_of
from sluice.lake.bronze import land_files
from sluice.lake.contract import Checked, check
from sluice.lake.delivery import Delivery
from sluice.lake.event_tables import enter
from sluice.lake.tally import tally
from sluice.lake.workers import Here

STREAM = "transactions"


def run(folder: Path, count: int) -> dict[str, Any]:
    """Each form of the contract and its reading and writing in turn, in one process on the same rows."""
    rows, path = handbook(), folder / "rows.parquet"
    pq.write_table(rows, path)
    delivery = Delivery("handbook", str(folder / "lake"), "bench", 2**50, files=[(STREAM, path)])
    uri = delta_table(rows, str(folder / "typed"))
    land_files(Here(), delivery)
    return {"rows": len(rows), "comparisons": {TYPED: _typed(delivery, uri, count), **_raw(delivery, folder, count)}}


def _typed(delivery: Delivery, uri: str, count: int) -> dict[str, Any]:
    judge = partial(enter, delivery.contract(STREAM), _read(uri), alone=False)
    return {
        "refused": len(judge().refused),
        **compared(pairs("typed", judge, lambda: _write(f"{uri}-copy", _read(uri)), count)),
    }


def _raw(delivery: Delivery, folder: Path, count: int) -> dict[str, Any]:
    uri = delivery.tables().uri(f"events/{STREAM}")
    bronze, out = _read(uri), str(folder / "silver")
    each = [one for _, one in _checked(delivery, bronze)]
    refused, silver = sum(len(one.rejected) for one in each), pa.concat_tables(one.accepted for one in each)
    del each

    def judge() -> None:
        for _ in _checked(delivery, bronze):
            pass

    found = {}
    for name, ours in ((RAW, judge), (GATED, lambda: _gated(delivery, bronze))):
        found[name] = {
            "refused": refused,
            **compared(pairs(name, ours, lambda: (_read(uri), _write(out, silver)), count)),
        }
    return found


def _checked(delivery: Delivery, bronze: pa.Table) -> Iterator[tuple[pa.Table, Checked]]:
    """Slices as large as ingest's, one after the other, and what the contract makes of them."""
    for begin in range(0, len(bronze), delivery.rows_per_task):
        part = bronze.slice(begin, delivery.rows_per_task)
        yield part, check(delivery.contract(STREAM), part, batch=delivery.batch)


def _gated(delivery: Delivery, bronze: pa.Table) -> None:
    """What ingest makes of every batch for its gates, too: counts of each slice, and shapes by day."""
    contract, shapes = delivery.contract(STREAM), []
    for index, (part, checked) in enumerate(_checked(delivery, bronze)):
        entered = checked.accepted.filter(pc.equal(checked.accepted.column("_op"), PUT))
        shapes.append(table_of(shapes_of(contract, entered), ""))
        tally(contract, delivery.tables(), index, part, checked, due=delivery.at, seam=None)
    by_day(pa.concat_tables(shapes))


def _read(uri: str) -> pa.Table:
    return deltalake.DeltaTable(uri).to_pyarrow_table()


def _write(uri: str, rows: pa.Table) -> None:
    deltalake.write_deltalake(uri, rows, mode="overwrite")
