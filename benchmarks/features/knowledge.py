"""Vectors as they were served against vectors that know everything: all of the Handbook, with some of it late."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.features.data import handbook
from benchmarks.features.pairs import compared, pairs
from sluice.declare.durations import DAY, SECOND
from sluice.declare.loading import load_pipeline
from sluice.engine.encode import Ints, integers
from sluice.engine.vectors import vectors
from sluice.lake.event_tables import enter_all

CASES: dict[str, Callable[[np.random.Generator, int], Ints]] = {
    "nobody is late": lambda _, size: np.zeros(size, np.int64),
    "1 % late by up to 2 days": lambda chance, size: _some(chance, size, 2 * DAY),
    "1 % late by up to 30 days": lambda chance, size: _some(chance, size, 30 * DAY),
    "1 % late by up to 2 days, all others by 5 s": lambda chance, size: np.maximum(
        _some(chance, size, 2 * DAY), 5 * SECOND
    ),
}
"""How much later than it happened each event was known."""


def run(_folder: Path, count: int) -> dict[str, Any]:
    """For each case the pairs of both; the ratios are those of `as_served` (here the peer) to `event_time`."""
    pipeline, rows = load_pipeline("handbook"), handbook()
    entered = {name: one.events for name, one in enter_all(pipeline, {"transactions": rows}).items()}
    asked = entered["transactions"]
    found: dict[str, Any] = {}
    for name, late in CASES.items():
        chance = np.random.default_rng(7)
        events = {stream: _known_later(table, late(chance, len(table))) for stream, table in entered.items()}
        everything = partial(vectors, pipeline, events, asked)
        served = partial(vectors, pipeline, events, asked, knowledge="as_served")
        other = _different(everything(), served())
        found[name] = {
            "rows": len(asked),
            "vectors that differ": other,
            **compared(pairs(name, everything, served, count)),
        }
    return {"cases": found}


def _some(chance: np.random.Generator, size: int, most: int) -> Ints:
    return np.where(chance.random(size) < 0.01, chance.integers(1, most, size), 0)


def _known_later(events: pa.Table, late: Ints) -> pa.Table:
    known = integers(events.column("_known"))[0] + late
    return events.set_column(events.schema.get_field_index("_known"), "_known", pa.array(known))


def _different(left: pa.Table, right: pa.Table) -> int:
    """How many rows differ in any column."""
    other = np.zeros(len(left), bool)
    for one, two in zip(left.columns, right.columns, strict=True):
        other |= one.fill_null(-1).to_numpy() != two.fill_null(-1).to_numpy()
    return int(other.sum())
