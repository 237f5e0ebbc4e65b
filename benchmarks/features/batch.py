"""Batch: from a plain Delta table in the order of time to one Delta table with all twelve features of every event.

(a) laying events out in buckets of their entity, once; (b) from rows in memory to the values of a view, beside a bare
numpy kernel that knows nothing of ties, labels or nulls; (c) end to end beside Spark SQL, DuckDB and Polars, all warm.
"""

from __future__ import annotations

import functools
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deltalake
import numpy as np
import pyarrow as pa

from benchmarks.features.data import delta_table, handbook
from benchmarks.features.pairs import compared, pairs
from benchmarks.features.peers import Spark, duckdb_windows, polars_windows
from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.engine.batch import compute
from sluice.engine.history import keep, rows
from sluice.engine.vectors import requests_of, vectors
from sluice.lake.event_tables import enter_all
from sluice.lake.files import create_table, replace_files, staged_files, write_parquet

WINDOWS = 12


def ours(table: str, out: str) -> None:
    """From the Delta table to the Delta table, in this process."""
    pipeline = load_pipeline("handbook")
    entered = enter_all(pipeline, {"transactions": deltalake.DeltaTable(table).to_pyarrow_table()})
    events = {name: found.events for name, found in entered.items()}
    scored = events["transactions"]
    found = vectors(pipeline, events, scored)
    names = [place.name for place in pipeline.features[:WINDOWS]]
    values = pa.table({"transaction_id": scored.column("_id"), **{name: found.column(name) for name in names}})
    run = uuid.uuid4().hex
    write_parquet(f"{out}/{run}/0.parquet", [values], values.schema)
    actions, schema = staged_files(out, run)
    held = deltalake.DeltaTable(out) if deltalake.DeltaTable.is_deltatable(out) else None
    if held is None:
        create_table(out, schema or values.schema, actions, [])
    else:
        replace_files(held, schema or values.schema, actions, [])


def run(folder: Path, count: int) -> dict[str, Any]:
    """Every comparison of (c), and (b) beside the bare kernel."""
    table = delta_table(handbook(), str(folder / "transactions"))
    found: dict[str, Any] = {}
    with _spark() as session:
        by_spark = Spark(session, table)
        scheduled = functools.partial(_on_spark, session, table, str(folder / "ours"))
        peers: dict[str, Callable[[str], object]] = {
            "Spark SQL": by_spark.write,
            "DuckDB": functools.partial(duckdb_windows, table),
            "Polars": functools.partial(polars_windows, table),
        }
        for name, peer in peers.items():
            out = str(folder / name.replace(" ", "-"))
            found[f"batch (c), beside {name}"] = compared(pairs(name, scheduled, functools.partial(peer, out), count))
            shutil.rmtree(out, ignore_errors=True)
    found["batch (b), beside the bare numpy kernel"] = compared(_bare(count))
    return found


def _on_spark(session: Any, table: str, out: str) -> None:
    """The same in one task of Spark, which only schedules it."""
    session.sparkContext.parallelize([0], 1).map(lambda _: ours(table, out)).collect()


@contextmanager
def _spark() -> Iterator[Any]:
    import os
    import sys

    from pyspark.sql import SparkSession

    from sluice.local.jars import delta_jars
    from spark_jobs.session import CONFIGURATION

    os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    os.environ["PYTHONPATH"] = str(Path.cwd())
    builder = SparkSession.builder.master("local[2]").config("spark.driver.memory", "6g")
    builder = builder.config("spark.jars", ",".join(map(str, delta_jars())))
    for name, value in CONFIGURATION.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        yield session
    finally:
        session.stop()


def _bare(count: int) -> list[Any]:
    pipeline = load_pipeline("handbook")
    entered = enter_all(pipeline, {"transactions": _utc(handbook())})
    events = {name: found.events for name, found in entered.items()}
    work = [
        (view, rows(view, events, kept=keep(pipeline)), requests_of(view, events["transactions"]))
        for view in pipeline.windows
    ]
    scored = events["transactions"]
    keys = [scored.column(name).to_numpy() for name in ("customer_id", "terminal_id")]
    values = [scored.column("amount").to_numpy(), events["transactions_is_fraud"].column("is_fraud").to_numpy()]
    times = scored.column("_time").to_numpy()
    lags = [0, 7 * DAY]

    def engine() -> None:
        for view, counted, asked in work:
            compute(view, counted, asked)

    def bare() -> None:
        for key, value, lag in zip(keys, values, lags, strict=True):
            bare_kernel(key, times, value, lag)

    return pairs("bare numpy", engine, bare, count)


def bare_kernel(keys: np.ndarray, times: np.ndarray, values: np.ndarray, lag: int) -> list[np.ndarray]:
    """Counts and means of three windows by a sort, prefix sums and bisection: what numpy alone can do."""
    order = np.argsort(keys, kind="stable")
    span = int(times.max() - times.min()) + 38 * DAY
    words = keys[order] * np.int64(span) + (times[order] - times.min()) + 38 * DAY
    total = np.concatenate([[0], np.cumsum(values[order])])
    near = np.searchsorted(words, words - lag, "right")
    found = []
    for days in (1, 7, 30):
        first = np.searchsorted(words, words - lag - days * DAY, "right")
        number, whole = near - first, total[near] - total[first]
        for column in (number.astype(np.float64), whole / np.maximum(number, 1)):
            back = np.empty(len(column))
            back[order] = column
            found.append(back)
    return found


def _utc(table: pa.Table) -> pa.Table:
    at = table.schema.get_field_index("TX_DATETIME")
    return table.set_column(at, "TX_DATETIME", table.column(at).cast(pa.timestamp("us", "UTC")))
