"""Rows per second of the simulator: a world of a million transactions, its feed as JSON, and its batch files.

Run with `python benchmarks/bench_simulator.py [customers]`; everything happens on one core.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import deque
from pathlib import Path

from sluice.local.simulator import Injections, World, feed, simulate, write_history


def main(customers: int) -> None:
    """Print one line per part: rows, seconds, rows per second."""
    world = World(customers=customers, terminals=2 * customers)
    began = time.perf_counter()
    simulation = simulate(world, Injections.demo(world.days))
    report("simulate", len(simulation.transactions), began)
    rows = sum(simulation.tally(stream).produced for stream in simulation.deliveries)
    began = time.perf_counter()
    deque(feed(simulation), maxlen=0)
    report("feed", rows, began)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        write_history(simulation, Path(folder), until_day=world.days)
        report("files", rows, began)


def report(part: str, rows: int, began: float) -> None:
    """One line of the benchmark."""
    seconds = time.perf_counter() - began
    print(f"{part:10} {rows:>10,} rows {seconds:8.2f} s {rows / seconds:>12,.0f} rows/s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_800)
