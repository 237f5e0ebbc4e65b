"""From Kafka on: records as producers send them, read, judged by the contract and folded into SQLite; and archived.

The fold and the archive are processes of their own in production; here each reads the whole topic once by itself, and
then both at once, as they run beside each other on two cores.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.stores import TRANSACTIONS, two_views
from sluice.clock import rfc3339
from sluice.engine.sqlite import SqliteStore
from sluice.lake.tables import Lake
from sluice.local import services
from sluice.local.ports import free_port
from sluice.settings import settings
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer
from sluice.stream.producer import Producer
from sluice.stream.topics import create_topics, stream_topic

EVENTS, BATCH = 60_000, 5_000


def run(folder: Path, count: int) -> dict[str, Any]:
    """Events a second of the fold, of the archive, and of each while the other runs."""
    runs: list[dict[str, float]] = []
    with broker(folder / "broker") as bootstrap:
        produce(bootstrap)
        for number in range(max(3, count // 3)):
            runs.append(_measured(folder / str(number), bootstrap))
            shown = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in runs[-1].items())
            print(f"Kafka {number + 1}: {shown}", file=sys.stderr)
    return {
        "events": EVENTS,
        "events a second": {name: statistics.median(one[name] for one in runs) for name in runs[0]},
        "runs": runs,
    }


def _measured(folder: Path, bootstrap: str) -> dict[str, float]:
    tasks = {"fold": measured_fold, "archive": measured_archive}
    alone = {name: _rate(task, folder / name, bootstrap) for name, task in tasks.items()}
    with ThreadPoolExecutor(2) as both:
        waiting = {
            f"{name} beside the other": both.submit(_rate, task, folder / f"{name}-both", bootstrap)
            for name, task in tasks.items()
        }
    return {**alone, **{name: one.result() for name, one in waiting.items()}}


def _rate(task: Callable[[str, str], float], folder: Path, bootstrap: str) -> float:
    """Events a second of a task in a process of its own, from its first record to its last commit."""
    folder.mkdir(parents=True)
    with get_context("spawn").Pool(1) as process:
        return EVENTS / process.apply(task, (str(folder), bootstrap))


def measured_fold(folder: str, bootstrap: str) -> float:
    """Seconds of a fold for all events."""
    store = SqliteStore(Path(folder) / "online.db")
    consumer = FoldConsumer(two_views(), store, bootstrap, BATCH)
    place = (stream_topic("bench", TRANSACTIONS.name), 0)
    return _from_first_to_last(consumer.run, lambda: store.read([]).knowledge.offset(place) or 0)


def measured_archive(folder: str, bootstrap: str) -> float:
    """Seconds of an archive for all events."""
    pipeline = two_views()
    lake = Lake(f"{folder}/lake", pipeline.name)
    archive = Archive(pipeline, lake, bootstrap, every_s=1.0, most=BATCH)
    return _from_first_to_last(archive.run, lambda: lake.count(f"events/{TRANSACTIONS.name}"))


def _from_first_to_last(run: Callable[[Callable[[], bool]], None], reached: Callable[[], int]) -> float:
    """Seconds for all events at the pace between the first commit and the last: what starting costs is left out."""
    seen: list[tuple[float, int]] = []

    def stopped() -> bool:
        here = reached()
        if here and (not seen or here > seen[-1][1]):
            seen.append((time.perf_counter(), here))
        return here >= EVENTS

    run(stopped)
    (begun, first), (ended, last) = seen[0], seen[-1]
    return (ended - begun) * EVENTS / (last - first)


def produce(bootstrap: str) -> None:
    """Send all events into their topic."""
    rows = handbook().slice(0, EVENTS)
    moments = rows.column("TX_DATETIME").cast(pa.timestamp("us")).cast(pa.int64()).to_pylist()
    create_topics(bootstrap, two_views())
    topic = stream_topic("bench", TRANSACTIONS.name)
    with Producer(bootstrap) as producer:
        for row, at in zip(rows.to_pylist(), moments, strict=True):
            producer.send(topic, orjson.dumps({**row, "TX_DATETIME": rfc3339(at)}), at=at)
        producer.flush()


@contextmanager
def broker(home: Path) -> Iterator[str]:
    """A broker of its own, as `sluice up` starts it, and its address."""
    port = free_port(27_500)
    os.environ |= {
        "SLUICE_HOME": str(home),
        "SLUICE_KAFKA_PORT": str(port),
        "SLUICE_KAFKA_CONTROLLER_PORT": str(port + 1),
    }
    settings.cache_clear()
    services.up(["kafka"])
    try:
        yield f"127.0.0.1:{port}"
    finally:
        services.down(["kafka"])
