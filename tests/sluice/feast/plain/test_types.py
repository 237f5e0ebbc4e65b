"""Every type that Feast has goes into the online store and comes out as it does of Feast's own."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from typing import Any

import pyarrow as pa
import pytest
from feast import Entity, FeatureView, Field, ValueType
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.type_map import python_values_to_proto_values
from feast.types import (
    Array,
    Bool,
    Bytes,
    Decimal,
    Float32,
    Float64,
    ImageBytes,
    Int32,
    Int64,
    Json,
    Map,
    PdfBytes,
    ScalarMap,
    Set,
    String,
    Struct,
    TimeUuid,
    UnixTimestamp,
    Uuid,
    ZonedTimestamp,
)

from tests.sluice.feast.plain.shop import DRIVER, ROWS, Shop, at

pytestmark = pytest.mark.integration
KEY = [Field(name="driver_id", dtype=Int64)]
MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
ID = uuid.UUID("12345678-1234-5678-1234-567812345678")
SCALARS: dict[str, tuple[Any, Any]] = {
    "bool": (Bool, True),
    "bytes": (Bytes, b"\x00\xff"),
    "text": (String, "é"),
    "int32": (Int32, -(2**31)),
    "int64": (Int64, 2**62 + 1),
    "float32": (Float32, 0.5),
    "float64": (Float64, 0.1),
    "moment": (UnixTimestamp, MOMENT),
    "pdf": (PdfBytes, b"%PDF"),
    "image": (ImageBytes, b"\x89PNG"),
    "uuid": (Uuid, ID),
    "time_uuid": (TimeUuid, ID),
    "decimal": (Decimal, decimal.Decimal("1.10")),
    "zoned": (ZonedTimestamp, MOMENT),
    "map": (Map, {"a": 1, "b": {"c": "d"}}),
    "json": (Json, {"a": [1, 2]}),
    "struct": (Struct({"a": Int64, "b": String}), {"a": 1, "b": "x"}),
    "scalar_map": (ScalarMap, {1: "x"}),
}
LISTS = {name: case for name, case in SCALARS.items() if name not in {"zoned", "scalar_map", "pdf", "image"}}
SETS = {name: case for name, case in LISTS.items() if name not in {"map", "json", "struct"}}
CASES: dict[str, tuple[Any, Any]] = {
    **SCALARS,
    **{f"list of {name}": (Array(kind), [value, value]) for name, (kind, value) in LISTS.items()},
    **{f"set of {name}": (Set(kind), {value}) for name, (kind, value) in SETS.items()},
    "list of lists": (Array(Array(Int64)), [[1, 2], [3]]),
    "empty list": (Array(String), []),
}


@pytest.mark.parametrize("name", CASES)
def test_a_value_comes_out_as_it_went_in(either: Shop, name: str) -> None:
    kind, value = CASES[name]
    either.store.apply([DRIVER, either.view(either.source(ROWS), schema=[*KEY, Field(name="value", dtype=kind)])])
    written = python_values_to_proto_values([value, None], kind.to_value_type())
    keys = [EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=key)]) for key in (1, 2)]
    rows = [(key, {"value": proto}, at(1), None) for key, proto in zip(keys, written, strict=True)]
    view = either.store.get_feature_view("stats")
    either.store._get_provider().online_write_batch(either.store.config, view, rows, None)
    assert either.online(["stats:value"], [{"driver_id": 1}, {"driver_id": 2}])["value"] == [value, None]


SOURCES: dict[str, tuple[Any, pa.DataType, Any]] = {
    "bool": (Bool, pa.bool_(), True),
    "bytes": (Bytes, pa.binary(), b"\x00\xff"),
    "text": (String, pa.large_string(), "é"),
    "int32": (Int32, pa.int32(), -(2**31)),
    "int64": (Int64, pa.int64(), 2**62 + 1),
    "float32": (Float32, pa.float32(), 0.5),
    "float64": (Float64, pa.float64(), 0.1),
    "moment": (UnixTimestamp, pa.timestamp("ns", "UTC"), MOMENT),
    "map": (Map, pa.map_(pa.string(), pa.int64()), {"a": 1}),
    "struct": (Struct({"a": Int64}), pa.struct([("a", pa.int64())]), {"a": 1}),
    "list of text": (Array(String), pa.list_(pa.string()), ["a", "b"]),
    "list of int64": (Array(Int64), pa.list_(pa.int64()), [2**62 + 1]),
    "list of float32": (Array(Float32), pa.list_(pa.float32()), [0.5, 1.5]),
    "list of moments": (Array(UnixTimestamp), pa.list_(pa.timestamp("us", "UTC")), [MOMENT]),
    "list of bytes": (Array(Bytes), pa.list_(pa.binary()), [b"a"]),
    "list of bool": (Array(Bool), pa.list_(pa.bool_()), [True, False]),
    "empty list": (Array(String), pa.list_(pa.string()), []),
    "list of lists": (Array(Array(Int64)), pa.list_(pa.list_(pa.int64())), [[1, 2], [3]]),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_column_of_a_source_is_materialized(shop: Shop, name: str) -> None:
    kind, column, value = SOURCES[name]
    values = pa.array([value, None], column)
    table = pa.table({"driver_id": [1, 2], "ts": [at(1)] * 2, "value": values})
    shop.store.apply([DRIVER, shop.view(shop.source(table), schema=[*KEY, Field(name="value", dtype=kind)])])
    shop.store.materialize(at(0), at(2))
    assert shop.online(["stats:value"], [{"driver_id": 1}, {"driver_id": 2}])["value"] == [value, None]
    past = shop.past({"driver_id": [2, 1], "event_timestamp": [at(1)] * 2}, ["stats:value"])
    assert past.column("value").to_pylist() == values.take([1, 0]).to_pylist()


def test_text_of_a_source_is_materialized_as_json(shop: Shop) -> None:
    table = pa.table({"driver_id": [1, 2], "ts": [at(1)] * 2, "value": ['{"a": [1, 2]}', None]})
    shop.store.apply([DRIVER, shop.view(shop.source(table), schema=[*KEY, Field(name="value", dtype=Json)])])
    shop.store.materialize(at(0), at(2))
    assert shop.online(["stats:value"], [{"driver_id": 1}, {"driver_id": 2}])["value"] == [{"a": [1, 2]}, None]


@pytest.mark.parametrize(
    ("kind", "feast_type", "column", "key", "other"),
    [
        (ValueType.STRING, String, pa.string(), "é", "e"),
        (ValueType.INT64, Int64, pa.int64(), 2**62 + 1, 2**62),
        (ValueType.INT32, Int32, pa.int32(), -1, 1),
        (ValueType.BYTES, Bytes, pa.binary(), b"\x00\x01", b"\x00"),
        (ValueType.BOOL, Bool, pa.bool_(), True, False),
    ],
)
def test_an_entity_may_be_named_by_any_scalar(
    either: Shop, kind: ValueType, feast_type: Any, column: Any, key: Any, other: Any
) -> None:
    entity = Entity(name="thing", join_keys=["thing_id"], value_type=kind)
    schema = [Field(name="thing_id", dtype=feast_type), Field(name="x", dtype=Int64)]
    table = pa.table({"thing_id": pa.array([key, other], column), "ts": [at(1)] * 2, "x": [1, 2]})
    view = FeatureView(name="things", entities=[entity], schema=schema, source=either.source(table))
    either.store.apply([entity, view])
    either.store.materialize(at(0), at(2))
    asked = [{"thing_id": one} for one in (other, key)]
    assert either.online(["things:x"], asked)["x"] == [2, 1]
    frame = {"thing_id": [other, key], "event_timestamp": [at(1)] * 2}
    assert either.past(frame, ["things:x"]).column("x").to_pylist() == [2, 1]
