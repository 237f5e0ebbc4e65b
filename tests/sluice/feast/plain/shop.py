"""A stock Feast SDK with a registry of its own over our stores, its rows, and the hours of its first days."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import deltalake
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource, ValueType
from feast.data_format import DeltaFormat
from feast.types import Array, Float64, Int64, String

from sluice.clock import FileClock, from_datetime
from sluice.feast.registry import feature_store
from sluice.settings import settings

HOUR = dt.timedelta(hours=1)
MICROSECOND = dt.timedelta(microseconds=1)


def at(hour: int, micro: int = 0) -> dt.datetime:
    """An hour of the first days of 2026, and some microseconds."""
    return dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + hour * HOUR + micro * MICROSECOND


NOW = at(100)
DRIVER = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
ROWS = {
    "driver_id": [1, 1, 2, 1, 2],
    "ts": [at(10), at(12), at(11), at(12), at(99)],
    "made": [at(13), at(13), at(13), at(14), at(99)],
    "rate": [0.1, 0.2, 0.3, 0.4, None],
    "trips": [2**60 + 1, None, 3, 4, 5],
    "tags": [["a"], [], None, ["x", "y"], ["z"]],
}


@dataclass(frozen=True)
class Shop:
    """A Feast project: its SDK, its folder, and the clock that its reads go by."""

    store: FeatureStore
    folder: Path

    def clock(self, moment: dt.datetime) -> None:
        FileClock(self.folder / "clock").move_to(from_datetime(moment))

    def source(self, rows: dict[str, list[Any]] | pa.Table, name: str = "stats", **named: Any) -> FileSource:
        """A parquet file with these rows."""
        table = rows if isinstance(rows, pa.Table) else pa.table(rows)
        path = self.folder / f"{name}.parquet"
        pq.write_table(table, path)
        return FileSource(**{"name": name, "path": str(path), "timestamp_field": "ts", **named})

    def delta(self, rows: dict[str, list[Any]], name: str = "stats", **named: Any) -> FileSource:
        """A Delta table with these rows, written in two commits."""
        path, table = str(self.folder / name), pa.table(rows)
        deltalake.write_deltalake(path, table.slice(0, 2))
        deltalake.write_deltalake(path, table.slice(2), mode="append")
        return FileSource(
            **{"name": name, "path": path, "timestamp_field": "ts", "file_format": DeltaFormat(), **named}
        )

    def view(self, source: Any, name: str = "stats", *, ttl: dt.timedelta | None = None, **named: Any) -> FeatureView:
        """A view of the drivers."""
        schema = [
            Field(name="driver_id", dtype=Int64),
            Field(name="rate", dtype=Float64),
            Field(name="trips", dtype=Int64),
            Field(name="tags", dtype=Array(String)),
        ]
        given: dict[str, Any] = {"name": name, "entities": [DRIVER], "schema": schema, "source": source, "ttl": ttl}
        return FeatureView(**{**given, **named})

    def pushed(self, **named: Any) -> FeatureView:
        """An applied view that is pushed to."""
        source = self.source(ROWS, created_timestamp_column="made")
        view = self.view(PushSource(name="push", batch_source=source), **named)
        self.store.apply([DRIVER, view])
        return view

    def online(self, features: Any, rows: list[dict[str, Any]], **named: Any) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = self.store.get_online_features(features, rows, **named).to_dict()
        return found

    def statuses(self, features: list[str], rows: list[dict[str, Any]]) -> dict[str, list[int]]:
        """What Feast says of each value: 1 present, 3 not found, 4 outside its time to live."""
        proto = self.store.get_online_features(features, rows).proto
        named = zip(proto.metadata.feature_names.val, proto.results, strict=True)
        return {name: list(result.statuses) for name, result in named}

    def past(self, frame: dict[str, list[Any]], features: Any, **named: Any) -> pa.Table:
        found: pa.Table = self.store.get_historical_features(pd.DataFrame(frame), features, **named).to_arrow()
        return found


def open_shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project in a folder; its clock stands at 100 h."""
    monkeypatch.setenv("SLUICE_HOME", str(folder / "home"))
    monkeypatch.setenv("SLUICE_CLOCK", (folder / "clock").as_uri())
    settings.cache_clear()
    shop = Shop(feature_store(), folder)
    shop.clock(NOW)
    return shop
