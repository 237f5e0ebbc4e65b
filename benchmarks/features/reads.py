"""Read and finalise: twenty features of two entities of one request, in process, beside the stock Feast SDK."""

from __future__ import annotations

import functools
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.held import busy, filled
from benchmarks.features.latencies import Prepared, in_turn, latencies, percentiles
from benchmarks.features.pairs import ratio
from benchmarks.features.stores import encoded, feast_rows, redis_server, stock_feast, two_views
from sluice.engine.read import windowed
from sluice.engine.redis import RedisStore
from sluice.engine.requests import Moment, Requests
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import TileStore

CALLS = 400
BUSY = (10, 1_000, 20_000, 100_000)
"""Events of an entity in its thirty days: in its head alone, and in leaves of days, of six hours and of three."""
CUSTOMERS, TERMINALS = 4_990, 10_000


def run(folder: Path, count: int) -> dict[str, Any]:
    """One request beside Feast's; the percentiles of one and of a hundred; ten times the entities; busy entities."""
    events = encoded(handbook())
    end = int(events.column("_time")[-1].as_py()) + 1
    store = _loaded(folder / "one.db", events, end)
    feast = stock_feast(folder)
    for key, entities in (("customer_id", CUSTOMERS), ("terminal_id", TERMINALS)):
        feast.push(f"{key}_push", feast_rows(key, np.arange(entities)))
    many = _loaded(folder / "ten.db", _times_ten(events), end)
    chance = random.Random(1)

    def ask(held: TileStore, entities: int = 1) -> Prepared:
        def prepared(size: int) -> Callable[[], object]:
            asked = _requests(chance, size, end, entities)
            return lambda: windowed(two_views_once(), held, asked)

        return prepared

    def sdk(_: int) -> Callable[[], object]:
        row = {"customer_id": chance.randrange(CUSTOMERS), "terminal_id": chance.randrange(TERMINALS)}
        return lambda: feast.get_online_features(_FEAST, [row])

    beside, larger = [], []
    sqlite, redis, hundred = [], [], []
    with redis_server(folder) as uri:
        held = filled(_PIPELINE, functools.partial(RedisStore, uri, "bench"), events, end)
        for _ in range(count):
            one, ten, peer = in_turn((ask(store), CALLS), (ask(many, 10), CALLS), (sdk, CALLS // 4))
            sqlite.append(one)
            beside.append((statistics.median(one), statistics.median(peer)))
            larger.append((statistics.median(one), statistics.median(ten)))
            redis.append(latencies(ask(held), 1, CALLS))
            hundred.append(latencies(ask(store), 100, CALLS // 10))
        held.close()
    return {
        "read beside the Feast SDK": {"ratio": vars(ratio(beside)), "pairs": beside},
        "ten times the entities": {"ratio": vars(ratio(larger)), "pairs": larger},
        "one request, SQLite": percentiles(*sqlite),
        "one request, Redis": percentiles(*redis),
        "a hundred requests": percentiles(*hundred),
        "events of an entity": {
            str(number): percentiles(latencies(_busy(folder, number, end), 1, CALLS)) for number in BUSY
        },
    }


_FEAST = [f"of_{key}:{key}_{number}" for key in ("customer_id", "terminal_id") for number in range(10)]
_PIPELINE = two_views()


def two_views_once() -> Any:
    """The pipeline, made once: its plans are kept by identity."""
    return _PIPELINE


def _loaded(path: Path, events: pa.Table, end: int) -> TileStore:
    return filled(_PIPELINE, functools.partial(SqliteStore, path), events, end)


def _times_ten(events: pa.Table) -> pa.Table:
    parts = []
    for copy in range(10):
        shifted = {name: events.column(name) for name in events.column_names}
        shifted["customer_id"] = pa.array(events.column("customer_id").to_numpy() + copy * CUSTOMERS)
        shifted["terminal_id"] = pa.array(events.column("terminal_id").to_numpy() + copy * TERMINALS)
        shifted["_id"] = pa.array(events.column("_id").to_numpy() * 10 + copy)
        parts.append(pa.table(shifted))
    return pa.concat_tables(parts)


def _requests(chance: random.Random, size: int, at: int, entities: int) -> Requests:
    keys = {
        "customer_id": [chance.randrange(CUSTOMERS * entities) for _ in range(size)],
        "terminal_id": [chance.randrange(TERMINALS * entities) for _ in range(size)],
    }
    amounts = {"amount": (np.full(size, 1_234, np.int64), np.ones(size, bool))}
    return Requests.of([Moment(at, 10**12 + number) for number in range(size)], keys, amounts.__getitem__)


def _busy(folder: Path, number: int, end: int) -> Prepared:
    """Requests of a customer and a terminal with so many events in their thirty days."""
    store = _loaded(folder / f"busy-{number}.db", busy(number, end), end)

    def prepared(size: int) -> Callable[[], object]:
        amounts = {"amount": (np.full(size, 1_234, np.int64), np.ones(size, bool))}
        keys = {"customer_id": [0] * size, "terminal_id": [0] * size}
        asked = Requests.of([Moment(end, 10**12 + place) for place in range(size)], keys, amounts.__getitem__)
        return lambda: windowed(_PIPELINE, store, asked)

    return prepared
