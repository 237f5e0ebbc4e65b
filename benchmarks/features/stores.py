"""Pipelines, stores and Feast repositories that the stream and read parts share."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from sluice import Category, Decimal, Key, Label, Pipeline, Stream, Windows, count, mean, since_last, sum_
from sluice.engine.facts import encoded_schema
from sluice.lake.event_tables import enter
from sluice.local.health import tcp
from sluice.local.ports import free_port
from sluice.local.redis_server import program

TRANSACTIONS = Stream(
    "transactions",
    id="transaction_id",
    time="event_time",
    columns={"customer_id": Key(), "terminal_id": Key(), "amount": Decimal(scale=2, min=0, max=100_000)},
    sources={
        "transaction_id": "TRANSACTION_ID",
        "event_time": "TX_DATETIME",
        "customer_id": "CUSTOMER_ID",
        "terminal_id": "TERMINAL_ID",
        "amount": "TX_AMOUNT",
    },
)
FRAUD = Label("is_fraud", of=TRANSACTIONS, column="TX_FRAUD", known_after="7d")
TEN = [count("1d", "7d", "30d"), mean("amount", "1d", "7d", "30d"), sum_("amount", "1d", "7d", "30d"), since_last()]
"""Ten features of one entity."""
CATEGORY = Category("pos", "online", "atm")


def two_views() -> Pipeline:
    """Ten features of the customer and ten of the terminal."""
    customer = Windows("customer", of="customer_id", over=TRANSACTIONS, include_request=True, features=TEN)
    terminal = Windows("terminal", of="terminal_id", over=TRANSACTIONS, features=TEN)
    return Pipeline("bench", views=[customer, terminal], label=FRAUD)


def encoded(rows: pa.Table) -> pa.Table:
    """Transactions as the engine takes them."""
    return enter(TRANSACTIONS, rows).events.cast(encoded_schema(TRANSACTIONS))


def stock_feast(folder: Path) -> Any:
    """A stock Feast repository on its SQLite store, with ten features of each of the two entities."""
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig
    from feast.types import Float64, Int64
    from feast.value_type import ValueType

    config = RepoConfig(
        project="bench",
        provider="local",
        registry=str(folder / "registry.db"),
        online_store={"type": "sqlite", "path": str(folder / "online.db")},
        entity_key_serialization_version=3,
    )
    store = FeatureStore(config=config)
    objects: list[Any] = []
    for key in ("customer_id", "terminal_id"):
        empty = folder / f"{key}.parquet"
        feast_rows(key, np.zeros(1, np.int64)).to_parquet(empty)
        batch = FileSource(name=f"{key}_file", path=str(empty), timestamp_field="event_timestamp")
        source = PushSource(name=f"{key}_push", batch_source=batch)
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        fields = [Field(name=f"{key}_{number}", dtype=Float64) for number in range(10)]
        schema = [Field(name=key, dtype=Int64), *fields]
        objects += [entity, FeatureView(name=f"of_{key}", entities=[entity], schema=schema, source=source)]
    store.apply(objects)
    return store


def feast_rows(key: str, entities: np.ndarray) -> pd.DataFrame:
    """Ten ready values of each entity, as they are pushed."""
    values = {f"{key}_{number}": entities * 1.5 + number for number in range(10)}
    return pd.DataFrame({key: entities, "event_timestamp": dt.datetime.now(dt.UTC), **values})


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """A Redis of its own that keeps nothing on disk, and its URI."""
    port = free_port(17_300)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([str(program()), *options], stdout=subprocess.DEVNULL)
    try:
        while not tcp("127.0.0.1", port):
            time.sleep(0.02)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait()
