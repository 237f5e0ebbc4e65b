"""The cost of each function against count: in a batch, and in the read of one request."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.pairs import cost
from benchmarks.features.stores import CATEGORY, TRANSACTIONS, encoded
from sluice import (
    Flag,
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
from sluice.engine.batch import compute
from sluice.engine.explain import cost as read_cost
from sluice.engine.history import rows
from sluice.engine.vectors import requests_of

EVENTS = 500_000
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


def run(_folder: Path, count_: int) -> dict[str, Any]:
    """Medians of CPU seconds of a batch over the first events, and microseconds of a read with 100 events."""
    events = encoded(handbook().slice(0, EVENTS))
    numbers = np.arange(len(events))
    events = events.append_column("channel", pa.array(numbers % 3)).append_column("night", pa.array(numbers % 2))
    works = {name: _batch(features, events) for name, features in FUNCTIONS.items()}
    for work in works.values():
        work()
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(count_):
        for name, work in works.items():
            seconds[name].append(cost(work).cpu)
    found: dict[str, Any] = {}
    for name, features in FUNCTIONS.items():
        view = Windows("one", of="customer_id", over=STREAM, features=[features])
        found[name] = {
            "batch CPU s": statistics.median(seconds[name]),
            "read µs": read_cost(view, features[-1], 100, 200),
        }
    for told in found.values():
        told["batch against count"] = told["batch CPU s"] / found["count"]["batch CPU s"]
        told["read against count"] = told["read µs"] / found["count"]["read µs"]
    return {"functions": found}


def _batch(features: Any, events: pa.Table) -> Callable[[], object]:
    view = Windows("one", of="customer_id", over=STREAM, features=[features])
    counted, asked = rows(view, {"transactions": events}, kept=0), requests_of(view, events)
    return lambda: compute(view, counted, asked)
