"""All of the Handbook's transactions: every row in, every amount exact, every label told seven days later."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sluice.lake.accounts import accounts
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from spark_jobs.ingest import ingest
from spark_jobs.workers import spark_workers

pytestmark = pytest.mark.soak

ROWS = 1_754_155
LAST = 1_538_351_999_000_000
"""2018-09-30 23:59:59 UTC."""


def test_all_of_the_handbook_is_ingested_and_every_amount_is_exact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(os.environ["SLUICE_HANDBOOK_DIR"]) / "transactions.parquet"
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "--master local[2] --driver-memory 1g pyspark-shell")
    with spark_workers("test") as workers:
        ingest(workers, Delivery("handbook", str(tmp_path), "all", LAST, files=[("transactions", file)]))
    lake = Lake(str(tmp_path), "handbook")
    for stream in ("transactions", "transactions_is_fraud"):
        found = accounts(lake, stream)
        assert (found.missing, found.silver, found.quarantined) == (0, ROWS, {})

    raw = pq.read_table(file, columns=["TRANSACTION_ID", "TX_AMOUNT", "TX_FRAUD"]).sort_by("TRANSACTION_ID")
    cents = np.rint(raw.column("TX_AMOUNT").to_numpy() * 100).astype(np.int64)
    assert int((raw.column("TX_AMOUNT").to_numpy() != cents / 100).sum()) == 1_214
    silver = lake.read("silver/transactions", columns=["transaction_id", "amount"]).sort_by("transaction_id")
    exact = pc.multiply(silver.column("amount").cast(pa.decimal128(20, 2)), pa.scalar(100, pa.decimal128(5, 0)))
    assert (exact.cast(pa.int64()).to_numpy() == cents).all()

    told = lake.read("silver/transactions_is_fraud").sort_by("transaction_id")
    assert told.column("is_fraud").equals(raw.column("TX_FRAUD").cast(pa.int64()))
    events = lake.read("silver/transactions", columns=["transaction_id", "_time"]).sort_by("transaction_id")
    later = pc.subtract(told.column("_time"), events.column("_time"))
    assert pc.unique(later).to_pylist() == [7 * 86_400_000_000]
