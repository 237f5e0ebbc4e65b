"""Online stores that were filled as a backfill fills them, and one busy entity to fill them with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from benchmarks.features.stores import encoded
from sluice import Pipeline
from sluice.engine.build import build
from sluice.engine.facts import encoded_schema
from sluice.engine.fold import load_base
from sluice.engine.history import keep, rows
from sluice.engine.store import TileStore

_MONTH = 30 * 86_400_000_000


def filled(pipeline: Pipeline, opened: Callable[..., TileStore], events: pa.Table, end: int) -> TileStore:
    """A store with the tiles of some events at a moment, opened again to be read."""
    store = opened()
    told = encoded_schema(pipeline.label.told_by).empty_table()
    tables = {"transactions": events, pipeline.label.told_by.name: told}
    tiles = {
        view.name: build(view, rows(view, tables, kept=keep(pipeline)), since=end - view.horizon)
        for view in pipeline.windows
    }
    load_base(pipeline, store, 1, tiles, {name: table.slice(0, 0) for name, table in tables.items()})
    store.close()
    return opened(read_only=True)


def busy(number: int, end: int, terminals: int = 1) -> pa.Table:
    """So many events of one customer in the thirty days before a moment, at some terminals."""
    chance = np.random.default_rng(3)
    columns = {
        "TRANSACTION_ID": np.arange(number),
        "TX_DATETIME": pa.array(np.sort(end - 1 - chance.integers(0, _MONTH, number)), pa.timestamp("us", "UTC")),
        "CUSTOMER_ID": np.zeros(number, np.int64),
        "TERMINAL_ID": chance.integers(0, terminals, number),
        "TX_AMOUNT": np.round(chance.random(number) * 500, 2),
    }
    return encoded(pa.table(columns))
