"""Read and finalise: twenty features of two entities of one request, in process, beside the stock Feast SDK."""

from __future__ import annotations

import functools
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.pairs import Ratio, ratio
from benchmarks.features.stores import encoded, feast_rows, redis_server, stock_feast, two_views
from sluice.engine.build import build
from sluice.engine.facts import encoded_schema
from sluice.engine.fold import load_base
from sluice.engine.history import keep, rows
from sluice.engine.read import windowed
from sluice.engine.redis import RedisStore
from sluice.engine.requests import Moment, Requests
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import TileStore

CALLS = 400
_TURNS = 20
_UNMEASURED = 5
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

    def ask(held: TileStore, entities: int = 1) -> Callable[[int], Callable[[], object]]:
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
        held = _filled(functools.partial(RedisStore, uri, "bench"), events, end)
        for _ in range(count):
            one, ten, peer = _in_turn((ask(store), CALLS), (ask(many, 10), CALLS), (sdk, CALLS // 4))
            sqlite.append(one)
            beside.append((statistics.median(one), statistics.median(peer)))
            larger.append((statistics.median(one), statistics.median(ten)))
            redis.append(_latencies(ask(held), 1))
            hundred.append(_latencies(ask(store), 100, CALLS // 10))
        held.close()
    return {
        "read beside the Feast SDK": {"ratio": vars(ratio(beside)), "pairs": beside},
        "ten times the entities": {"ratio": vars(_inverse(larger)), "pairs": larger},
        "one request, SQLite": _percentiles(*sqlite),
        "one request, Redis": _percentiles(*redis),
        "a hundred requests": _percentiles(*hundred),
        "events of an entity": {
            str(number): _percentiles(_latencies(_busy(folder, number, end), 1)) for number in (10, 1_000, 100_000)
        },
    }


_FEAST = [f"of_{key}:{key}_{number}" for key in ("customer_id", "terminal_id") for number in range(10)]
_PIPELINE = two_views()


def two_views_once() -> Any:
    """The pipeline, made once: its plans are kept by identity."""
    return _PIPELINE


def _loaded(path: Path, events: pa.Table, end: int) -> TileStore:
    return _filled(functools.partial(SqliteStore, path), events, end)


def _filled(opened: Callable[..., TileStore], events: pa.Table, end: int) -> TileStore:
    store = opened()
    told = encoded_schema(_PIPELINE.label.told_by).empty_table()
    tables = {"transactions": events, _PIPELINE.label.told_by.name: told}
    tiles = {
        view.name: build(view, rows(view, tables, kept=keep(_PIPELINE)), since=end - view.horizon)
        for view in _PIPELINE.windows
    }
    load_base(_PIPELINE, store, 1, tiles, {name: table.slice(0, 0) for name, table in tables.items()})
    store.close()
    return opened(read_only=True)


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


def _busy(folder: Path, number: int, end: int) -> Callable[[int], Callable[[], object]]:
    """Requests of a customer and a terminal with so many events in their thirty days."""
    spread = np.sort(end - 1 - np.random.default_rng(3).integers(0, 30 * 86_400_000_000, number))
    columns = {
        "TRANSACTION_ID": np.arange(number),
        "TX_DATETIME": pa.array(spread, pa.timestamp("us", "UTC")),
        "CUSTOMER_ID": np.zeros(number, np.int64),
        "TERMINAL_ID": np.zeros(number, np.int64),
        "TX_AMOUNT": np.round(np.random.default_rng(4).random(number) * 500, 2),
    }
    store = _loaded(folder / f"busy-{number}.db", encoded(pa.table(columns)), end)

    def prepared(size: int) -> Callable[[], object]:
        amounts = {"amount": (np.full(size, 1_234, np.int64), np.ones(size, bool))}
        keys = {"customer_id": [0] * size, "terminal_id": [0] * size}
        asked = Requests.of([Moment(end, 10**12 + place) for place in range(size)], keys, amounts.__getitem__)
        return lambda: windowed(_PIPELINE, store, asked)

    return prepared


def _in_turn(*sides: tuple[Callable[[int], Callable[[], object]], int]) -> list[list[float]]:
    """Microseconds of each call of every side, a few of each in turn: the machine's speed changes within a second."""
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(_TURNS):
        for number, (prepared, calls) in enumerate(sides):
            found[number] += _latencies(prepared, 1, calls // _TURNS)
    return found


def _latencies(prepared: Callable[[int], Callable[[], object]], size: int, calls: int = CALLS) -> list[float]:
    """Microseconds of each of some calls, on requests made before."""
    waiting = [prepared(size) for _ in range(calls)]
    for call in waiting[:_UNMEASURED]:
        call()
    found = []
    for call in waiting:
        begun = time.perf_counter()
        call()
        found.append((time.perf_counter() - begun) * 1e6)
    return found


def _percentiles(*rounds: list[float]) -> dict[str, Any]:
    """Over all rounds, which saw the machine at faster and slower times; and the least and greatest median of one."""
    ordered = sorted(call for one in rounds for call in one)
    medians = [statistics.median(one) for one in rounds]
    ends = {"p50 of a round, least and greatest": [min(medians), max(medians)]}
    return {"p50 µs": ordered[len(ordered) // 2], "p99 µs": ordered[int(len(ordered) * 0.99)], **ends}


def _inverse(measured: list[tuple[float, float]]) -> Ratio:
    """How many times as long the second takes as the first."""
    return ratio(measured)
