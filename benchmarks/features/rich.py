"""The cost of each function against count, for entities with few events and with many: in a batch, and in a read.

Percentiles and distinct counts keep every value while there are few, and sketches of more: how dear they are depends on
how many events a window has. So does a read, whose windows hold the states of whole slots where there are many.
"""

from __future__ import annotations

import functools
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.held import busy, filled
from benchmarks.features.latencies import Prepared, in_turn
from benchmarks.features.pairs import pairs, ratio
from benchmarks.features.stores import CATEGORY, TRANSACTIONS, encoded
from benchmarks.features.targets import BATCH, READ
from sluice import (
    Flag,
    Label,
    Pipeline,
    Windows,
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    percentile,
    share,
    since_first,
    since_last,
    std,
    sum_,
    top,
    top_share,
)
from sluice.declare.durations import DAY
from sluice.engine.batch import compute
from sluice.engine.history import rows
from sluice.engine.read import windowed
from sluice.engine.requests import Moment, Requests
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import TileStore
from sluice.engine.vectors import requests_of

EVENTS = 500_000
"""Of the Handbook, in a batch."""
TERMINALS = 10_000
END = 2**50
CALLS = {100: 200, 1_000: 200, 20_000: 20, 100_000: 40}
"""Reads of each side in a pair, by the entity's events."""
STREAM = replace(TRANSACTIONS, columns={**TRANSACTIONS.columns, "channel": CATEGORY, "night": Flag()})
FUNCTIONS = {
    "count": count("30d"),
    "sum": sum_("amount", "30d"),
    "mean": mean("amount", "30d"),
    "share": share("night", "30d"),
    "std": std("amount", "30d"),
    "min": min_("amount", "30d"),
    "max": max_("amount", "30d"),
    "percentile": percentile("amount", 0.95, "30d"),
    "distinct": distinct("terminal_id", "30d"),
    "first": first("amount", "30d"),
    "last": last("amount", "30d"),
    "top": top("channel", "30d"),
    "top_share": top_share("channel", "30d"),
    "decayed_count": (count("30d")[0], *decayed_count(half_life="3d")),
    "decayed_sum": (count("30d")[0], *decayed_sum("amount", half_life="3d")),
    "decayed_mean": (count("30d")[0], *decayed_mean("amount", half_life="3d")),
    "since_last": since_last("30d"),
    "since_first": since_first("30d"),
}
VIEWS = {
    name: Windows(name, of="customer_id", over=STREAM, features=[features]) for name, features in FUNCTIONS.items()
}
LABEL = Label("is_fraud", of=STREAM, column="TX_FRAUD", known_after="7d")


def run(folder: Path, count_: int) -> dict[str, Any]:
    """Of each number of events what a count takes, and every other function's ratio to it with its pairs."""
    events = with_kinds(encoded(handbook().slice(0, EVENTS)))
    return {
        "batch": {str(number): _batch(number, events, count_) for number in BATCH},
        "read": {str(number): _read(folder / f"{number}.db", number, count_) for number in READ},
    }


def with_kinds(events: pa.Table) -> pa.Table:
    """Events with a category and a flag more."""
    numbers = np.arange(len(events))
    return events.append_column("channel", pa.array(numbers % 3)).append_column("night", pa.array(numbers % 2))


def _batch(number: int, events: pa.Table, count_: int) -> dict[str, Any]:
    """CPU seconds of the kernel over all events of as many customers as give each so many of them in thirty days."""
    grouped = _grouped(number, events)
    works = {name: _work(view, grouped) for name, view in VIEWS.items()}
    found, mine = {}, []
    for name, work in works.items():
        if name != "count":
            both = pairs(f"{name}, batch, {number}", works["count"], work, count_)
            found[name] = _against([(one.cpu, other.cpu) for one, other in both])
            mine += [one.cpu for one, _ in both]
    held = statistics.fmean(works["count"]()["count_30d"][0][-EVENTS // 4 :])
    return {"events in a window": round(held, 1), "count CPU s": statistics.median(mine), "functions": found}


def _grouped(number: int, events: pa.Table) -> pa.Table:
    times = events.column("_time").to_numpy()
    customers = max(1, round(np.count_nonzero(times > times[-1] - 30 * DAY) / number))
    of = np.random.default_rng(5).integers(0, customers, len(events))
    return events.set_column(events.schema.get_field_index("customer_id"), "customer_id", pa.array(of))


def _work(view: Windows, events: pa.Table) -> Callable[[], dict[str, Any]]:
    counted, asked = rows(view, {"transactions": events}, kept=0), requests_of(view, events)
    return lambda: compute(view, counted, asked)


def _read(path: Path, number: int, count_: int) -> dict[str, Any]:
    """Microseconds of CPU of one request for a customer who has so many events in thirty days, from SQLite."""
    events = with_kinds(busy(number, END, TERMINALS))
    pipeline = Pipeline("rich", views=list(VIEWS.values()), label=LABEL)
    store = filled(pipeline, functools.partial(SqliteStore, path), events, END)
    sides = {name: (_asking(view, store), CALLS[number]) for name, view in VIEWS.items()}
    found, mine = {}, []
    for name, side in sides.items():
        if name != "count":
            rounds = [in_turn(sides["count"], side, clock=time.process_time) for _ in range(count_)]
            both = [tuple(map(statistics.median, one)) for one in rounds]
            found[name] = _against(both)
            mine += [one for one, _ in both]
            print(f"{name}, read, {number}: {found[name]['ratio']}", file=sys.stderr)
    store.close()
    return {"count CPU µs": statistics.median(mine), "functions": found}


def _asking(view: Windows, store: TileStore) -> Prepared:
    pipeline = Pipeline("rich", views=[view], label=LABEL)

    def prepared(size: int) -> Callable[[], object]:
        nothing = np.zeros(size, np.int64), np.zeros(size, bool)
        asked = Requests.of([Moment(END, None)] * size, {"customer_id": [0] * size}, lambda _: nothing)
        return lambda: windowed(pipeline, store, asked)

    return prepared


def _against(both: list[tuple[float, ...]]) -> dict[str, Any]:
    """A function's ratio to the count, and the pairs: what the count took, and what it did."""
    rounded = [(float(f"{one:.4g}"), float(f"{other:.4g}")) for one, other in both]
    return {"ratio": asdict(ratio(rounded)), "pairs": rounded}
