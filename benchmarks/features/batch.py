"""Batch: from a plain Delta table in the order of time to one Delta table with all twelve features of every event.

(a) laying events out in buckets of their entity, once; (b) from that layout to the values of every view, beside a bare
numpy kernel that knows nothing of ties, labels or nulls, and reads and writes its files through the same code of ours;
(c) end to end and warm: on a Spark worker beside each peer, and in this process, as the command does unless told
otherwise, beside DuckDB and Polars, which run there too.
"""

from __future__ import annotations

import functools
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import delta_table, handbook
from benchmarks.features.pairs import compared, cost, pairs
from benchmarks.features.peers import PEERS, Spark
from sluice.declare.durations import DAY
from sluice.lake import computing, pieces, slices
from sluice.lake.files import remove
from sluice.lake.pieces import Piece
from sluice.lake.slices import Job
from sluice.lake.workers import Here
from spark_jobs.workers import SparkWorkers

BOOK = str(Path(__file__).with_name("book.py"))
KEYS = {"customer": ("amount", 0), "terminal": ("is_fraud", 7 * DAY)}


def run(folder: Path, count: int) -> dict[str, Any]:
    """Every comparison of (c), the cost of (a), and (b) beside the bare kernel."""
    table = delta_table(handbook(), str(folder / "transactions"))
    asked = request(table, folder / "ours")
    here = functools.partial(computing.compute, Here(), asked)
    found: dict[str, Any] = {}
    with spark() as session:
        workers = SparkWorkers(lambda: session.sparkContext, little=0)
        there = functools.partial(computing.compute, workers, asked)
        sides: list[tuple[str, Callable[[], object], Callable[[str], object]]] = [
            ("(c) on Spark beside Spark SQL", there, Spark(session, table).write),
            *((f"(c) on Spark beside {name}", there, functools.partial(peer, table)) for name, peer in PEERS.items()),
            *((f"(c) beside {name}", here, functools.partial(peer, table)) for name, peer in PEERS.items()),
        ]
        for name, ours, peer in sides:
            out = str(folder / "peer")
            found[name] = compared(pairs(name, ours, functools.partial(peer, out), count))
            shutil.rmtree(out, ignore_errors=True)
    job = laid_out(table, str(folder / "layout"))
    found["(a) layout"] = _laying(job, count)
    engine, bare = (functools.partial(side, job) for side in (_engine, _bare))
    found["(b) beside bare numpy"] = compared(pairs("bare numpy", engine, bare, count))
    return found


def request(table: str, out: Path) -> computing.Request:
    """The twelve features of every event of a Delta table to another."""
    return computing.request(BOOK, Path(table), out, str(out.with_name("lake")))


@contextmanager
def spark() -> Iterator[Any]:
    """A warm session on two cores that can run our tasks and write Delta."""
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


def laid_out(table: str, folder: str) -> Job:
    """The rows and requests of both views in one bucket each."""
    asked = request(table, Path(folder) / "out")
    sliced = tuple(computing.sliced(asked, computing.SLICE))
    job = Job(asked.pipeline, asked.lake, (), folder, sliced, 1, direct=True)
    _lay(job)
    return job


def _lay(job: Job) -> None:
    remove(job.folder)
    for piece in job.slices:
        slices.enter_slice(job, piece)


def _laying(job: Job, count: int) -> dict[str, Any]:
    costs = [cost(functools.partial(_lay, job)) for _ in range(max(3, count // 3))]
    return {
        "ours": {kind: statistics.median(getattr(one, kind) for one in costs) for kind in ("wall", "cpu")},
        "runs": [asdict(one) for one in costs],
    }


def _engine(job: Job) -> None:
    for view in KEYS:
        slices.value_piece(job, Piece(view, 0))


def _bare(job: Job) -> None:
    for view, (value, lag) in KEYS.items():
        rows = pieces.counted(job, Piece(view, 0))
        found = bare_kernel(*(rows.column(name).to_numpy() for name in ("key", "time", value)), lag)
        for number, piece in enumerate(job.scored):
            part = slice(piece.first, piece.first + piece.rows)
            some = pa.table({str(at): column[part] for at, column in enumerate(found)})
            slices.dealing.hand(job, some, "bare", view, number)


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
