"""Micro-batch: events decoded and encoded, folded into SQLite with ids, chunks and positions, beside Feast's `push`.

Both sides take the same 5,000 events to two entities. Feast is given ready values and only stores them, one upsert for
each value; the fold computes what the values will be read from, keeps the ids, and moves the positions with them.
"""

from __future__ import annotations

import itertools
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features.data import handbook
from benchmarks.features.pairs import Cost, compared, cost, pairs
from benchmarks.features.stores import encoded, feast_rows, stock_feast, two_views
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import Position

BATCH, WARM = 5_000, 300_000
PLACE = ("bench.transactions", 0)


def run(folder: Path, count: int) -> dict[str, Any]:
    """The fold beside `push`, and how many events a core folds in a second."""
    rows = handbook().slice(0, WARM + (count + 25) * BATCH)
    events, store = encoded(rows), SqliteStore(folder / "online.db")
    pipeline, feast = two_views(), stock_feast(folder)
    offsets = itertools.count(0, BATCH)

    def ours() -> None:
        begin = next(offsets)
        moved = {PLACE: Position(begin + BATCH, None)}
        batch = MicroBatch({"transactions": events.slice(begin, BATCH)}, {PLACE: begin or None}, moved)
        fold(pipeline, store, batch)

    def push() -> None:
        part = rows.slice(WARM, BATCH)
        for key in ("customer_id", "terminal_id"):
            entities = np.unique(part.column(key.upper()).to_numpy())
            feast.push(f"{key}_push", feast_rows(key, entities))

    for _ in range(WARM // BATCH):
        ours()
    alone = [cost(ours) for _ in range(20)]
    found = {"micro-batch of 5,000, beside Feast push": compared(pairs("push", ours, push, count))}
    store.close()
    return found | {"fold": _rate(alone)}


def _rate(costs: list[Cost]) -> dict[str, float]:
    return {
        "events a second": BATCH / statistics.median(one.wall for one in costs),
        "events a CPU second": BATCH / statistics.median(one.cpu for one in costs),
    }
