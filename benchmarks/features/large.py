"""Ten times the rows: what grows with them and what does not; each peer runs once, for 200 seconds at most."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import deltalake
import psutil

from benchmarks.features.batch import request, spark
from benchmarks.features.data import delta_table, handbook, times, zoned
from benchmarks.features.pairs import Cost, cost
from benchmarks.features.peers import PEERS, Spark
from sluice.lake import computing
from spark_jobs.workers import SparkWorkers

COPIES, CAP = 10, 200


def run(folder: Path, count: int) -> dict[str, Any]:
    """CPU of ten times the rows and of once the rows in turn, the greatest memory of a worker, and the peers."""
    small = delta_table(handbook(), str(folder / "small"))
    large = str(folder / "large")
    for piece in times(handbook(), COPIES):
        deltalake.write_deltalake(large, zoned(piece), mode="append")
    with spark() as session:
        workers = SparkWorkers(lambda: session.sparkContext, little=0)

        def ours(table: str) -> Callable[[], object]:
            return functools.partial(computing.compute, workers, request(table, folder / f"{Path(table).name}-out"))

        ours(small)()
        costs: dict[str, list[Cost]] = {small: [], large: []}
        peaks = {small: 0.0, large: 0.0}
        for number in range(count):
            for table, found in costs.items():
                with Peak() as memory:
                    found.append(cost(ours(table)))
                peaks[table] = max(peaks[table], memory.megabytes)
                print(f"{Path(table).name} {number + 1}: {found[-1]}, {peaks[table]:.0f} MB", file=sys.stderr)
    return {
        "ten times the rows": {
            "worker MB": peaks[large],
            "worker MB, once the rows": peaks[small],
            "small": [asdict(one) for one in costs[small]],
            "large": [asdict(one) for one in costs[large]],
        },
        "peers": {name: _once(name, large, str(folder / "peer-out")) for name in ("Spark SQL", *PEERS)},
    }


class Peak:
    """The greatest memory that any Python worker of Spark had meanwhile; the kernel keeps count of it."""

    megabytes = 0.0

    def __enter__(self) -> Self:
        # a worker outlives the job it did before, and what it needed there is no part of this one
        for worker in _workers():
            Path(f"/proc/{worker.pid}/clear_refs").write_text("5")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        # seldom, as to look at all processes costs time of the processors, which are measured
        ended = False
        while not ended:
            ended = self._stop.wait(2)
            self.megabytes = max([self.megabytes, *map(_greatest, _workers())])


def _workers() -> list[psutil.Process]:
    """The Python workers of Spark that this process has now; one that ends meanwhile is none."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "pyspark.daemon" in " ".join(child.cmdline()):
                found.append(child)
    return found


def _greatest(worker: psutil.Process) -> float:
    """The most that a worker had, in megabytes; nothing, if it has ended."""
    try:
        status = Path(f"/proc/{worker.pid}/status").read_text()
    except OSError:
        return 0.0
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10 if "VmHWM:" in status else 0.0


def _once(name: str, table: str, out: str) -> dict[str, Any]:
    """What a peer takes in a process of its own, or that it took too long."""
    begun = time.monotonic()
    command = [sys.executable, "-m", "benchmarks.features.large", name, table, out]
    try:
        done = subprocess.run(command, timeout=CAP, check=False, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        return {"wall": CAP, "told": f"not done after {CAP} s"}
    told = "done" if done.returncode == 0 else f"failed: {(done.stderr.strip().splitlines() or ['killed'])[-1]}"
    return {"wall": time.monotonic() - begun, "told": told}


def main() -> None:
    """Run one peer."""
    name, table, out = sys.argv[1:]
    if name in PEERS:
        PEERS[name](table, out)
        return
    with spark() as session:
        Spark(session, table).write(out)


if __name__ == "__main__":
    main()
