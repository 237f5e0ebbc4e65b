"""How long ingest takes: months of history from files, and then small live batches on top of it.

Run with `python benchmarks/bench_ingest.py [customers]`. History is ingested twice: on Spark, and in this process, as
the live batches are. Seconds are of the clock, CPU seconds of this process alone.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa

from sluice.lake.accounts import accounts
from sluice.lake.contract import BRONZE
from sluice.lake.delivery import Delivery
from sluice.lake.tables import Lake
from sluice.lake.workers import Here, Workers
from sluice.local.messages import Message
from sluice.local.simulator import Injections, World, feed, simulate, write_history
from spark_jobs.ingest import ingest
from spark_jobs.workers import spark_workers

LIVE_DAYS, LIVE_ROWS, LIVE_BATCHES = 20, 2_000, 3
STREAMS = ("transactions", "chargebacks")


def main(customers: int) -> None:
    """Print one line for each part, and that the sums close."""
    world = World(customers=customers, terminals=2 * customers)
    injections = replace(Injections.demo(world.days, LIVE_DAYS), schema_break=None)
    simulation, history = simulate(world, injections), world.days - LIVE_DAYS
    with tempfile.TemporaryDirectory() as name:
        written = write_history(simulation, Path(name, "files"), history, days_per_file=30)
        files = [(path.parent.name, path) for path in written]
        delivery = Delivery("fraud", f"{name}/here", "history", world.midnight(history), files)
        with spark_workers("bench") as workers:
            report("history on Spark", replace(delivery, lake=f"{name}/spark"), workers)
        report("history here", delivery, Here())
        items, lake = feed(simulation, history), Lake(f"{name}/here", "fraud")
        for number in range(LIVE_BATCHES):
            chunk = list(islice(items, LIVE_ROWS))
            archive(lake, chunk, number * LIVE_ROWS)
            live = replace(delivery, batch=f"live-{number}", at=chunk[-1].arrival, files=(), from_bronze=True)
            report(f"live batch {number}", live, Here())
        print("rows missing from the accounts:", {stream: accounts(lake, stream).missing for stream in STREAMS})


def report(part: str, delivery: Delivery, workers: Workers) -> None:
    """Ingest, and print one line of the benchmark."""
    began, cpu = time.perf_counter(), time.process_time()
    ingest(workers, delivery)
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    rows = sum(row["rows"] for row in delivery.tables().published() if row["batch"] == delivery.batch)
    print(f"{part:18} {rows:>10,} rows {seconds:8.2f} s {busy:8.2f} CPU s {rows / seconds:>12,.0f} rows/s")


def archive(lake: Lake, items: Sequence[Message], first: int) -> None:
    """Append messages to bronze as the archive does, from an offset on."""
    for stream in STREAMS:
        mine = [(offset, item) for offset, item in enumerate(items, first) if item.stream == stream]
        rows = {
            "payload": [item.payload for _, item in mine],
            "source": [f"kafka:fraud.{stream}"] * len(mine),
            "partition": [0] * len(mine),
            "position": [offset for offset, _ in mine],
            "known": [item.arrival for _, item in mine],
            "revision": [0] * len(mine),
            "op": [0] * len(mine),
            "batch": [""] * len(mine),
        }
        lake.append(f"events/{stream}", pa.table(rows, BRONZE))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000)
