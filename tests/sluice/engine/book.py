"""The Fraud Detection Handbook's transactions, encoded as the kernel reads them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from sluice.declare.durations import DAY


def book_folder() -> Path:
    """Where the Handbook's files are; without them the test is skipped, which CI does not accept."""
    folder = os.environ.get("SLUICE_HANDBOOK_DIR")
    if not folder:
        pytest.skip("SLUICE_HANDBOOK_DIR does not say where the Handbook's transactions are")
    return Path(folder)


def transactions(rows: pa.Table) -> pa.Table:
    cents = np.rint(rows["TX_AMOUNT"].to_numpy() * 100).astype(np.int64)
    columns = {"customer_id": rows["CUSTOMER_ID"], "terminal_id": rows["TERMINAL_ID"], "amount": pa.array(cents)}
    return events(rows, rows["TX_DATETIME"].cast(pa.int64()), columns)


def labels(rows: pa.Table) -> pa.Table:
    told = pc.add(rows["TX_DATETIME"].cast(pa.int64()), 7 * DAY)
    columns = {"transaction_id": rows["TRANSACTION_ID"], "is_fraud": rows["TX_FRAUD"].cast(pa.int64())}
    return events(rows, told, columns)


def events(rows: pa.Table, time: pa.ChunkedArray, columns: dict[str, pa.Array]) -> pa.Table:
    zeros = np.zeros(len(rows), np.int64)
    own = {
        "_id": rows["TRANSACTION_ID"],
        "_time": time,
        "_revision": pa.array(zeros, pa.int32()),
        "_op": pa.array(zeros, pa.int8()),
        "_hash": rows["TRANSACTION_ID"],
        "_known": time,
        "_watermark": pa.nulls(len(rows), pa.int64()),
    }
    return pa.table({**own, **columns})
