"""Messages with registered schemas as producers send them: the shop's orders in Avro and in Protobuf."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from sluice.lake.decoding import Schema

Row = Mapping[str, Any]
_TYPES = {"double": 1, "int64": 3, "int32": 5, "bool": 8, "string": 9, "message": 11, "bytes": 12}

AVRO_FIELDS: list[dict[str, Any]] = [
    {"name": "order_id", "type": "long"},
    {"name": "ordered_at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "customer", "type": "string"},
    {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
    {"name": "channel", "type": "string"},
    {"name": "country", "type": ["null", "string"], "default": None},
    {"name": "items", "type": ["null", "int"], "default": None},
    {"name": "gift", "type": ["null", "boolean"], "default": None},
]
PROTO_FIELDS = [
    ("order_id", "int64"),
    ("ordered_at", ".google.protobuf.Timestamp"),
    ("customer", "string"),
    ("amount", "double"),
    ("channel", "string"),
    ("country", "optional string"),
    ("items", "optional int32"),
    ("gift", "optional bool"),
]
TIMESTAMP = "google/protobuf/timestamp.proto"


def avro(fields: Sequence[Mapping[str, Any]] = AVRO_FIELDS, **more: Any) -> Schema:
    """The schema of a record."""
    return Schema("avro", json.dumps({"type": "record", "name": "order", "fields": list(fields), **more}))


def avro_message(number: int, schema: Schema, row: Row) -> bytes:
    """A row as its producer sends it under a schema of that id."""
    written = BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(json.loads(schema.text)), dict(row))
    return head(number) + written.getvalue()


def file_of(
    fields: Sequence[tuple[str, str]] = PROTO_FIELDS, *, imports: Sequence[str] = (TIMESTAMP,), package: str = "shop"
) -> descriptor_pb2.FileDescriptorProto:
    """A .proto file with one message `Order` of some fields, numbered in order."""
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package=package, syntax="proto3", dependency=imports)
    message = file.message_type.add(name="Order")
    for number, (name, written) in enumerate(fields, 1):
        *rest, kind = written.split()
        field = message.field.add(
            name=name, number=number, type=_TYPES.get(kind, 11), label=3 if "repeated" in rest else 1
        )
        if kind not in _TYPES:
            field.type_name = kind
        if "optional" in rest:
            field.proto3_optional, field.oneof_index = True, len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{name}")
    return file


def protobuf(file: descriptor_pb2.FileDescriptorProto, references: Sequence[tuple[str, str]] = ()) -> Schema:
    """A file as a registry gives it for `?format=serialized`."""
    return Schema("protobuf", base64.b64encode(file.SerializeToString()).decode(), tuple(references))


def protobuf_message(number: int, file: descriptor_pb2.FileDescriptorProto, row: Row, place: bytes = b"\x00") -> bytes:
    """A row as its producer sends it: a message of the file's first type, unless `place` says another."""
    return head(number) + place + _message(file, row).SerializeToString()


def head(number: int) -> bytes:
    """What says that a schema's value follows, and which schema's."""
    return b"\x00" + number.to_bytes(4, "big")


def for_avro(row: Row) -> dict[str, Any]:
    """A row of JSON with the values that fastavro writes."""
    changed = {"ordered_at": dt.datetime.fromisoformat(row["ordered_at"]), "amount": Decimal(str(row["amount"]))}
    return {**row, **changed}


def for_protobuf(row: Row) -> dict[str, Any]:
    """A row of JSON with the values that a message takes."""
    moment = timestamp_pb2.Timestamp()
    moment.FromJsonString(row["ordered_at"])
    told = {name: value for name, value in row.items() if value is not None}
    return {**told, "ordered_at": {"seconds": moment.seconds, "nanos": moment.nanos}}


def _message(file: descriptor_pb2.FileDescriptorProto, row: Row) -> Any:
    pool = descriptor_pool.DescriptorPool()
    known = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(known)
    pool.Add(known)
    pool.Add(file)
    kind = pool.FindFileByName(file.name).message_types_by_name["Order"]
    return message_factory.GetMessageClass(kind)(**row)


def shop_in(form: str, folder: Path) -> Path:
    """The shop's declaration with orders that come by a topic in a format."""
    declared = Path(__file__).with_name("shop.py").read_text()
    written = folder / f"shop_{form}.py"
    written.write_text(declared.replace('late_after="1h",', f'late_after="1h",\n    format="{form}",', 1))
    return written
