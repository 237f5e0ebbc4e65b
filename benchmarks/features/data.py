"""The Handbook's transactions as a plain Delta table in the order of time, as they are and ten times over."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import deltalake
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

COLUMNS = ["TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT", "TX_FRAUD"]
FILE_ROWS = 1_000_000


def handbook() -> pa.Table:
    """The columns that the features need, in the order of time and id."""
    folder = os.environ.get("SLUICE_HANDBOOK_DIR")
    if not folder:
        raise SystemExit("SLUICE_HANDBOOK_DIR does not say where the Handbook's transactions are")
    return pq.read_table(Path(folder) / "transactions.parquet", columns=COLUMNS)


def delta_table(rows: pa.Table, uri: str) -> str:
    """A Delta table of these rows; its times are UTC, as peers need them."""
    # piece by piece: several chunks are written at a time, in any order
    for begin in range(0, len(rows), FILE_ROWS):
        piece = zoned(rows.slice(begin, FILE_ROWS)).combine_chunks()
        deltalake.write_deltalake(uri, piece, mode="append" if begin else "overwrite")
    return uri


def zoned(rows: pa.Table) -> pa.Table:
    """The same with times that say they are UTC."""
    at = rows.schema.get_field_index("TX_DATETIME")
    return rows.set_column(at, "TX_DATETIME", rows.column(at).cast(pa.timestamp("us", "UTC")))


def times(rows: pa.Table, copies: int) -> Iterator[pa.Table]:
    """The rows several times over in the order of time, with customers, terminals and ids of their own, in pieces.

    Each copy is a microsecond behind the one before, so that no two of one entity share their moment more than before.
    """
    shift = {name: int(np.max(rows.column(name).to_numpy())) + 1 for name in COLUMNS if name.endswith("_ID")}
    piece = FILE_ROWS // copies
    for begin in range(0, len(rows), piece):
        part = rows.slice(begin, piece)
        parts = [_shifted(part, copy, shift) for copy in range(copies)]
        order = np.argsort(np.tile(np.arange(len(part)), copies) * copies + np.repeat(np.arange(copies), len(part)))
        yield pa.concat_tables(parts).take(pa.array(order))


def _shifted(part: pa.Table, copy: int, shift: dict[str, int]) -> pa.Table:
    columns = {name: part.column(name) for name in part.column_names}
    for name, by in shift.items():
        columns[name] = pa.array(part.column(name).to_numpy() + copy * by)
    moved = part.column("TX_DATETIME").cast(pa.int64()).to_numpy() + copy
    columns["TX_DATETIME"] = pa.array(moved, pa.timestamp("us"))
    # ids in the order of time, whatever the copy
    columns["TRANSACTION_ID"] = pa.array(part.column("TRANSACTION_ID").to_numpy() * 10 + copy)
    return pa.table(columns)
