"""How soon a feature has an event: a thousand events a second, and of some the moment at which a reader sees them.

The fold and the archive go on side by side on our core for all rounds; who sends and who looks has the broker's.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.features.data import handbook
from benchmarks.features.kafka import EVENTS
from benchmarks.features.stores import TRANSACTIONS, two_views
from benchmarks.lake.pinned import OURS, THEIRS, pin
from sluice.clock import rfc3339
from sluice.engine.sqlite import SqliteStore
from sluice.lake.tables import Lake
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer
from sluice.stream.producer import Producer
from sluice.stream.topics import stream_topic

RATE, SECONDS, PROBED = 1_000, 20, 50
"""Events a second, for so long; and of so many one is looked for."""
_NEW = 10_000_000
"""Ids and customers from here on are ours, and no earlier event has them."""
_PATIENCE_S = 30
_LOOK_S = 0.002
_TOPIC = stream_topic("bench", TRANSACTIONS.name)


@dataclass(frozen=True)
class _Probes:
    """When the first event of each new customer was sent, and when the customer's features were first seen."""

    sent: dict[int, float] = field(default_factory=dict)
    seen: dict[int, float] = field(default_factory=dict)


def run(folder: Path, bootstrap: str, rounds: int) -> dict[str, Any]:
    """Percentiles of each round, in milliseconds."""
    folder.mkdir()
    moment = pc.max(handbook().slice(0, EVENTS).column("TX_DATETIME").cast(pa.timestamp("us"))).cast(pa.int64()).as_py()
    allowed = os.sched_getaffinity(0)
    pin(THEIRS)
    try:
        with _working(folder, bootstrap):
            found = [_round(folder, bootstrap, moment, number) for number in range(rounds)]
    finally:
        os.sched_setaffinity(0, allowed)
    return {"rate": RATE, "fresh": found}


def folded(store: SqliteStore) -> int:
    """How many events of the topic a store has."""
    return store.read([]).knowledge.offset((_TOPIC, 0)) or 0


@contextmanager
def _working(folder: Path, bootstrap: str) -> Iterator[None]:
    """The fold and the archive, from when they have caught up."""
    context = get_context("spawn")
    ready, ended = (context.Event(), context.Event()), context.Event()
    both = [
        context.Process(target=task, args=(str(folder), bootstrap, one, ended))
        for task, one in zip((_fold, _archive), ready, strict=True)
    ]
    for process in both:
        process.start()
    try:
        for one in ready:
            if not one.wait(_PATIENCE_S):
                raise AssertionError("the fold or the archive has not caught up")
        yield
    finally:
        ended.set()
        for process in both:
            process.join()


def _fold(folder: str, bootstrap: str, ready: Any, ended: Any) -> None:
    pin(OURS)
    store = SqliteStore(Path(folder) / "online.db")

    def stopped() -> bool:
        if not ready.is_set() and folded(store) >= EVENTS:
            ready.set()
        return bool(ended.is_set())

    FoldConsumer(two_views(), store, bootstrap).run(stopped)


def _archive(folder: str, bootstrap: str, ready: Any, ended: Any) -> None:
    pin(OURS)
    pipeline = two_views()
    lake = Lake(f"{folder}/lake", pipeline.name)

    def stopped() -> bool:
        if not ready.is_set() and lake.count(f"events/{TRANSACTIONS.name}") >= EVENTS:
            ready.set()
        return bool(ended.is_set())

    Archive(pipeline, lake, bootstrap).run(stopped)


def _round(folder: Path, bootstrap: str, moment: int, number: int) -> dict[str, Any]:
    probes, stop = _Probes(), threading.Event()
    reader = threading.Thread(target=_look, args=(folder, probes, stop))
    reader.start()
    first = number * RATE * SECONDS
    _send(bootstrap, moment, range(first, first + RATE * SECONDS), probes.sent)
    deadline = time.perf_counter() + _PATIENCE_S
    while len(probes.seen) < len(probes.sent) and time.perf_counter() < deadline:
        time.sleep(0.05)
    stop.set()
    reader.join()
    found = _told(probes.sent, probes.seen)
    print(f"fresh {number + 1}: {found}", file=sys.stderr)
    return found


def _told(sent: Mapping[int, float], seen: Mapping[int, float]) -> dict[str, Any]:
    delays = sorted(1_000 * (seen[key] - sent[key]) for key in seen)
    shares = {"p50 ms": 0.5, "p99 ms": 0.99, "most ms": 1.0}
    at = {name: delays[int(share * (len(delays) - 1))] for name, share in shares.items()}
    return {**at, "probes": len(sent), "never seen": len(sent) - len(seen)}


def _send(bootstrap: str, moment: int, numbers: range, sent: dict[int, float]) -> None:
    begun = time.perf_counter()
    with Producer(bootstrap) as producer:
        for number in numbers:
            wait = begun + (number - numbers.start) / RATE - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            probe = number % PROBED == 0
            customer = _NEW + number if probe else number % 5_000
            at = moment + number * 1_000_000 // RATE
            row = {
                "TRANSACTION_ID": _NEW + number,
                "TX_DATETIME": rfc3339(at),
                "CUSTOMER_ID": customer,
                "TERMINAL_ID": number % 10_000,
                "TX_AMOUNT": 1.5,
            }
            if probe:
                sent[customer] = time.perf_counter()
            producer.send(_TOPIC, orjson.dumps(row), at=at)
        producer.flush()


def _look(folder: Path, probes: _Probes, stop: threading.Event) -> None:
    """Ask for each customer as a server asks: by the key of the view that is of customers."""
    store = SqliteStore(folder / "online.db", read_only=True)
    [view] = [view.name for view in two_views().windows if view.of == "customer_id"]
    while not stop.is_set():
        for key in [key for key in list(probes.sent) if key not in probes.seen]:
            if store.read([(view, key)]).heads[0] is not None:
                probes.seen[key] = time.perf_counter()
        time.sleep(_LOOK_S)
    store.close()
