"""From Kafka to bronze and to tiles on one core, and how soon a feature has an event at a thousand events a second.

The broker has the other core: its work is not ours, and it would be on another machine.
"""

from __future__ import annotations

import os
import statistics
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson
import psutil

from benchmarks.features.kafka import BATCH, EVENTS, broker, measured_archive, measured_fold, produce
from benchmarks.features.stores import TRANSACTIONS, two_views
from sluice.clock import rfc3339
from sluice.engine.sqlite import SqliteStore
from sluice.stream.fold import FoldConsumer
from sluice.stream.producer import Producer
from sluice.stream.topics import create_topics, stream_topic

OURS, THEIRS = 1, 0
"""The cores of the fold and the archive, and of the broker."""
RATE, SECONDS, PROBED = 1_000, 20, 50
"""Events a second, for so long; and of so many one is looked for."""
_NEW = 10_000_000


def run(folder: Path, count: int) -> dict[str, Any]:
    """Events a second of both together on one core, and milliseconds from producing an event to reading its feature."""
    with broker(folder / "broker") as bootstrap:
        _pin_broker()
        produce(bootstrap)
        rates = [_rate(folder / str(number), bootstrap) for number in range(max(3, count // 3))]
        fresh = _fresh(folder / "fresh", bootstrap)
    return {"events a second": statistics.median(rates), "runs": rates, **fresh}


def _rate(folder: Path, bootstrap: str) -> float:
    with ThreadPoolExecutor(2) as both:
        tasks = [both.submit(_alone, task, folder / name, bootstrap) for name, task in TASKS.items()]
        slowest = max(task.result() for task in tasks)
    print(f"one core: {EVENTS / slowest:,.0f} events/s", file=sys.stderr)
    return EVENTS / slowest


TASKS = {"fold": measured_fold, "archive": measured_archive}


def _alone(task: Any, folder: Path, bootstrap: str) -> float:
    folder.mkdir(parents=True)
    with get_context("spawn").Pool(1, initializer=_pin) as process:
        taken: float = process.apply(task, (str(folder), bootstrap))
    return taken


def _pin() -> None:
    os.sched_setaffinity(0, {OURS})


def _pin_broker() -> None:
    for process in psutil.process_iter(["name", "cmdline"]):
        if process.info["name"] == "java" and "kafka.Kafka" in (process.info["cmdline"] or []):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, {THEIRS})


def _fresh(folder: Path, bootstrap: str) -> dict[str, Any]:
    """Percentiles over the probes: each is the first event of a customer that nobody has asked about."""
    folder.mkdir()
    pipeline = two_views()
    create_topics(bootstrap, pipeline)
    stop = threading.Event()
    context = get_context("spawn")
    ready, ended = context.Event(), context.Event()
    worker = context.Process(target=_folding, args=(str(folder), bootstrap, ready, ended))
    worker.start()
    ready.wait(60)
    sent: dict[int, float] = {}
    seen: dict[int, float] = {}
    reader = threading.Thread(target=_look, args=(folder, sent, seen, stop))
    reader.start()
    _send(bootstrap, sent)
    deadline = time.perf_counter() + 10
    while len(seen) < len(sent) and time.perf_counter() < deadline:
        time.sleep(0.05)
    stop.set()
    ended.set()
    reader.join()
    worker.join()
    delays = sorted(1_000 * (seen[key] - sent[key]) for key in seen)
    at = [delays[int(share * (len(delays) - 1))] for share in (0.5, 0.99)]
    print(f"fresh: p50 {at[0]:.0f} ms, p99 {at[1]:.0f} ms of {len(delays)}", file=sys.stderr)
    return {"p50 ms": at[0], "p99 ms": at[1], "probes": len(sent), "never seen": len(sent) - len(seen)}


def _folding(folder: str, bootstrap: str, ready: Any, ended: Any) -> None:
    _pin()
    store = SqliteStore(Path(folder) / "online.db")
    begun = [False]

    def stopped() -> bool:
        # what was produced before is folded first
        if (
            not begun[0]
            and (store.read([]).knowledge.offset((stream_topic("bench", TRANSACTIONS.name), 0)) or 0) >= EVENTS
        ):
            begun[0] = True
            ready.set()
        return bool(ended.is_set())

    FoldConsumer(two_views(), store, bootstrap, BATCH).run(stopped)


def _send(bootstrap: str, sent: dict[int, float]) -> None:
    topic, begun, moment = stream_topic("bench", TRANSACTIONS.name), time.perf_counter(), 1_600_000_000_000_000
    with Producer(bootstrap) as producer:
        for number in range(RATE * SECONDS):
            wait = begun + number / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            probe = number % PROBED == 0
            customer = _NEW + number if probe else number % 5_000
            at = moment + number * 1_000
            row = {
                "TRANSACTION_ID": _NEW + number,
                "TX_DATETIME": rfc3339(at),
                "CUSTOMER_ID": customer,
                "TERMINAL_ID": number % 10_000,
                "TX_AMOUNT": 1.5,
            }
            if probe:
                sent[customer] = time.perf_counter()
            producer.send(topic, orjson.dumps(row), at=at)
        producer.flush()


def _look(folder: Path, sent: dict[int, float], seen: dict[int, float], stop: threading.Event) -> None:
    store = SqliteStore(folder / "online.db")
    while not stop.is_set():
        for key in [key for key in list(sent) if key not in seen][:20]:
            if store.read([("customer", key)]).heads[0] is not None:
                seen[key] = time.perf_counter()
        time.sleep(0.002)
    store.close()
