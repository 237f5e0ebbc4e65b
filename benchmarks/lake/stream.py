"""From Kafka to bronze and to tiles on one core, and how soon a feature has an event at a thousand events a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.features.data import handbook
from benchmarks.features.kafka import BATCH, EVENTS, broker, produce
from benchmarks.features.pairs import Cost
from benchmarks.features.stores import TRANSACTIONS, two_views
from benchmarks.lake import fresh
from benchmarks.lake.pinned import OURS, pin, pin_broker
from sluice.engine.sqlite import SqliteStore
from sluice.lake.tables import Lake
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer

_BRONZE = f"events/{TRANSACTIONS.name}"
_PATIENCE_S = 120


def run(folder: Path, count: int) -> dict[str, Any]:
    """Events a second of both together on one core, and milliseconds from producing an event to reading its feature."""
    rounds = max(3, count // 3)
    with broker(folder / "broker") as bootstrap:
        pin_broker()
        produce(bootstrap)
        runs = [_side_by_side(folder / str(number), bootstrap) for number in range(rounds)]
        told = fresh.run(folder / "fresh", bootstrap, rounds)
    return {"events": EVENTS, "runs": [asdict(one) for one in runs], **told}


def _side_by_side(folder: Path, bootstrap: str) -> Cost:
    """From when both begin at once until the slower one has committed its last event: connecting is in it.

    The seconds of the processor are what both took of it together, whoever else was there.
    """
    folder.mkdir()
    context = get_context("spawn")
    together, ended = context.Barrier(3), context.Queue()
    both = [
        context.Process(target=_alone, args=(task, str(folder), bootstrap, together, ended)) for task in (fold, archive)
    ]
    for process in both:
        process.start()
    together.wait(_PATIENCE_S)
    begun = time.perf_counter()
    costs = [ended.get(timeout=_PATIENCE_S) for _ in both]
    for process in both:
        process.join()
    _check(folder)
    found = Cost(max(end for end, _ in costs) - begun, sum(cpu for _, cpu in costs))
    print(f"one core: {EVENTS / found.wall:,.0f} events/s, {EVENTS / found.cpu:,.0f} a CPU second", file=sys.stderr)
    return found


def _alone(task: Any, folder: str, bootstrap: str, together: Any, ended: Any) -> None:
    pin(OURS)
    work = task(Path(folder), bootstrap)
    together.wait(_PATIENCE_S)
    before = time.process_time()
    work()
    ended.put((time.perf_counter(), time.process_time() - before))


def fold(folder: Path, bootstrap: str) -> Callable[[], None]:
    """Fold every event into tiles."""
    store = SqliteStore(folder / "online.db")
    consumer = FoldConsumer(two_views(), store, bootstrap, BATCH)
    return lambda: consumer.run(lambda: fresh.folded(store) >= EVENTS)


def archive(folder: Path, bootstrap: str) -> Callable[[], None]:
    """Bring every event to bronze."""
    lake = _lake(folder)
    task = Archive(two_views(), lake, bootstrap, every_s=1.0, most=BATCH)
    return lambda: task.run(lambda: lake.count(_BRONZE) >= EVENTS)


def _check(folder: Path) -> None:
    """Every event is in bronze once, and in the store once."""
    positions = _lake(folder).read(_BRONZE, columns=["position"]).column("position")
    store = SqliteStore(folder / "online.db", read_only=True)
    facts = store.facts(handbook().slice(0, EVENTS).column("TRANSACTION_ID").to_pylist())
    store.close()
    found = len(positions), len(positions.unique()), len(facts)
    if set(found) != {EVENTS}:
        raise AssertionError(f"{EVENTS:,} events came to {found}: rows and positions in bronze, versions in the store")


def _lake(folder: Path) -> Lake:
    return Lake(str(folder / "lake"), two_views().name)
