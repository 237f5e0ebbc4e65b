"""One event is one event, whichever format it comes in; and bytes that are no message are refused, never guessed at."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.errors import Outage
from sluice.lake.contract import check, contract_version
from sluice.lake.decoding import UNKNOWN, Broken, Schema, decode, json_rows, schema_ids
from tests.properties import examples
from tests.sluice.lake.messages import (
    AVRO_FIELDS,
    PROTO_FIELDS,
    avro,
    avro_message,
    file_of,
    for_avro,
    for_protobuf,
    head,
    protobuf,
    protobuf_message,
)
from tests.sluice.lake.test_contract import GOOD, KNOWN, ORDERS, bronze

pytestmark = pytest.mark.unit

AVRO, FILE = avro(), file_of()
PROTOBUF = protobuf(FILE)
SCHEMAS = {7: AVRO, 8: PROTOBUF}
ROW = {**GOOD, "gift": None}


def judged(form: Any, payload: bytes, schemas: Mapping[int, Schema] = SCHEMAS) -> tuple[Any, ...]:
    """What the contract says of one message: its typed columns, or the rule, the column and what is allowed."""
    checked = check(replace(ORDERS, format=form), bronze([payload]), batch="", schemas=schemas)
    if len(checked.rejected):
        (row,) = checked.rejected.select(["rule", "column", "allowed"]).to_pylist()
        return tuple(row.values())
    (row,) = checked.accepted.select(["order_id", "amount", "country", "items"]).to_pylist()
    return (row["order_id"], str(row["amount"]), row["country"], row["items"])


def sent(form: str, row: Mapping[str, Any]) -> bytes:
    if form == "avro":
        return avro_message(7, AVRO, for_avro(row))
    return protobuf_message(8, FILE, for_protobuf(row)) if form == "protobuf" else orjson.dumps(dict(row))


EVENTS = st.fixed_dictionaries(
    {
        "order_id": st.integers(-(2**63), 2**63 - 1),
        "ordered_at": st.datetimes().map(lambda at: f"{at.isoformat(timespec='microseconds')}Z"),
        "customer": st.text(st.characters(codec="utf-8"), max_size=5),
        "amount": st.integers(-500, 100_500).map(lambda cents: cents / 100),
        "channel": st.sampled_from(["web", "shop", "phone"]),
        "country": st.none() | st.sampled_from(["DE", "Ö", ""]),
        "items": st.none() | st.integers(-1, 60),
        "gift": st.none() | st.booleans(),
    }
)


@settings(max_examples=examples(300))
@given(st.lists(EVENTS, max_size=6))
def test_json_avro_and_protobuf_of_the_same_events_are_the_same_rows_with_the_same_hashes(
    events: list[dict[str, Any]],
) -> None:
    found = {}
    for form in ("json", "avro", "protobuf"):
        payloads = [sent(form, event) for event in events]
        checked = check(replace(ORDERS, format=form), bronze(payloads), batch="b", schemas=SCHEMAS)
        found[form] = checked.accepted, checked.rejected.select(["rule", "column", "allowed", "position"])
    assert found["avro"] == found["json"]
    assert found["protobuf"] == found["json"]


@pytest.mark.parametrize("payloads", [[b'{"a": 1}', b"{}"], [b'{"a": 1}', b"[1]"], [b"{", b"}"], [b"{}", None], []])
def test_payloads_that_are_read_at_once_are_the_rows_of_each_alone(payloads: list[bytes | None]) -> None:
    alone = [decode("json", payload or b"", {}) for payload in payloads]

    assert json_rows(payloads) == (None if any(isinstance(row, Broken) for row in alone) else alone)


def test_files_and_replays_of_the_same_stream_stay_json() -> None:
    rows = bronze([orjson.dumps(ROW), sent("avro", ROW)], source=["file:00", "kafka:shop.orders"], position=[0, 0])
    checked = check(replace(ORDERS, format="avro"), rows, batch="", schemas=SCHEMAS)
    assert checked.accepted.column("_hash").to_pylist() == [checked.accepted.column("_hash")[0].as_py()] * 2


@pytest.mark.parametrize(
    ("payload", "allowed"),
    [
        (b'[["1","2","3"],["a","b"]]', "2 fields, as the header has, and not 3"),
        (b'["1","2","3"]', "a JSON object"),
        (b"[[", "a JSON object"),
    ],
)
def test_a_csv_row_of_another_length_is_refused_with_both_numbers(payload: bytes, allowed: str) -> None:
    assert judged("json", payload) == ("json", "", allowed)


@pytest.mark.parametrize("form", ["avro", "protobuf"])
@pytest.mark.parametrize(
    ("message", "allowed"),
    [
        (None, "a zero, the id of a schema in four bytes, and the value"),
        (b"", "a zero, the id of a schema in four bytes, and the value"),
        (b"\x00\x00\x00\x07", "a zero, the id of a schema in four bytes, and the value"),
        (orjson.dumps(ROW), "a zero, the id of a schema in four bytes, and the value"),
        (b"\x01\x00\x00\x00\x07\x02", "a zero, the id of a schema in four bytes, and the value"),
    ],
)
def test_bytes_without_the_head_of_a_message_are_refused(form: Any, message: bytes, allowed: str) -> None:
    assert judged(form, message) == ("format", "", allowed)


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_a_torn_message_is_refused_with_its_bytes(form: Any) -> None:
    number = {"avro": 7, "protobuf": 8}[form]
    whole = sent(form, ROW)
    torn = check(replace(ORDERS, format=form), bronze([whole[:-1]]), batch="", schemas=SCHEMAS).rejected.to_pylist()
    told = f"a value as schema {number} describes it, the whole of it"
    assert [(row["rule"], row["allowed"]) for row in torn] == [("format", told)]
    assert torn[0]["value"] == f"0x{whole[:-1][:40].hex()}"
    assert torn[0]["payload"] == whole[:-1]


def test_a_value_with_more_behind_it_is_none() -> None:
    assert judged("avro", sent("avro", ROW) + b"\x00")[0] == "format"


def test_a_schema_that_nobody_looked_up_yet_is_no_reason_to_refuse() -> None:
    with pytest.raises(Outage, match="nobody has looked up schema 9 yet"):
        judged("avro", head(9) + b"\x02")


def test_a_schema_that_the_registry_does_not_know_refuses_its_messages() -> None:
    found = judged("avro", head(9), {9: Schema(UNKNOWN, "")})
    assert found == ("format", "", "a schema of avro, which the registry has")


@pytest.mark.parametrize(
    ("schema", "allowed"),
    [
        (Schema("json", "{}"), "avro only"),
        (PROTOBUF, "avro only"),
        (Schema("avro", "{"), "a schema of avro for a record, with all that it refers to"),
        (Schema("avro", '"long"'), "a schema of avro for a record, with all that it refers to"),
        (Schema("avro", '{"type": "nothing"}'), "a schema of avro for a record, with all that it refers to"),
    ],
)
def test_a_schema_of_another_kind_or_that_is_none_refuses_its_messages(schema: Schema, allowed: str) -> None:
    assert judged("avro", head(9) + b"\x02", {9: schema}) == ("format", "", allowed)


@pytest.mark.parametrize("text", ["syntax = 'proto3';", "AAAA", ""])
def test_a_text_that_describes_no_file_refuses_its_messages(text: str) -> None:
    found = judged("protobuf", head(9) + b"\x00", {9: Schema("protobuf", text)})
    assert found[0] == "format"


@settings(max_examples=examples(500))
@given(st.sampled_from([7, 8]), st.binary(max_size=60))
def test_no_bytes_raise(number: int, body: bytes) -> None:
    form = {7: "avro", 8: "protobuf"}[number]
    assert isinstance(decode(form, head(number) + body, SCHEMAS), dict | Broken)


def test_the_ids_of_schemas_are_read_from_the_heads_of_messages() -> None:
    assert schema_ids([sent("avro", ROW), sent("protobuf", ROW), None, b"{}", b"\x00\x00"]) == {7, 8}


def changed(column: str, **field: Any) -> Schema:
    """The schema of orders with one field otherwise."""
    return avro([{"name": column, **field} if one["name"] == column else one for one in AVRO_FIELDS])


def without(name: str) -> list[dict[str, Any]]:
    return [one for one in AVRO_FIELDS if one["name"] != name]


def evolved(schema: Schema, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return judged("avro", avro_message(9, schema, row), {**SCHEMAS, 9: schema})


def test_a_schema_that_gains_a_column_is_read_as_before_and_the_column_is_told() -> None:
    schema = avro([*AVRO_FIELDS, {"name": "coupon", "type": "string", "default": ""}])
    message = avro_message(9, schema, {**for_avro(ROW), "coupon": "X"})
    checked = check(replace(ORDERS, format="avro"), bronze([message]), batch="", schemas={9: schema})
    assert len(checked.accepted) == 1
    assert set(checked.parsed[0]) - set(GOOD) == {"coupon"}


def test_a_schema_that_loses_a_column_leaves_null_where_that_may_be_and_is_refused_where_not() -> None:
    row = for_avro(ROW)
    assert evolved(avro(without("items")), row) == (1, "12.34", "DE", None)
    assert evolved(avro(without("channel")), row) == ("missing", "channel", "a value")


def test_a_column_that_is_renamed_by_alias_is_read_by_its_old_name() -> None:
    row = for_avro(ROW)
    renamed = changed("amount", name="total", aliases=["amount"], type="double")
    assert evolved(renamed, {**row, "total": 12.34}) == (1, "12.34", "DE", 2)


def test_a_column_that_is_renamed_without_an_alias_is_missing() -> None:
    row = for_avro(ROW)
    found = evolved(changed("amount", name="total", type="double"), {**row, "total": 12.34})
    assert found == ("missing", "amount", "a value")


def test_a_default_that_does_not_fit_its_type_stops_nobody() -> None:
    schema = avro([{"name": "word", "type": "string", "default": None}])
    assert decode("avro", head(9) + b"\x04ab", {9: schema}) == {"word": "ab"}


def test_a_column_of_another_type_is_what_its_values_are() -> None:
    row = for_avro(ROW)
    assert evolved(changed("items", type="string"), {**row, "items": "3"}) == (1, "12.34", "DE", 3)
    assert evolved(changed("items", type="double"), {**row, "items": 3.0}) == (1, "12.34", "DE", 3)
    assert evolved(changed("items", type="string"), {**row, "items": "few"})[:2] == ("type", "items")
    assert evolved(changed("amount", type="boolean"), {**row, "amount": True})[:2] == ("type", "amount")


def protobuf_evolved(fields: list[tuple[str, str]], row: Mapping[str, Any]) -> tuple[Any, ...]:
    file = file_of(fields)
    return judged("protobuf", protobuf_message(9, file, row), {9: protobuf(file)})


def test_protobuf_gains_loses_renames_and_retypes_by_the_same_rules() -> None:
    row = for_protobuf(ROW)
    others = [field for field in PROTO_FIELDS if field[0] != "amount"]
    assert protobuf_evolved([*PROTO_FIELDS, ("coupon", "string")], {**row, "coupon": "X"})[0] == 1
    less = {name: value for name, value in row.items() if name != "amount"}
    assert protobuf_evolved(others, less) == ("missing", "amount", "a value")
    assert protobuf_evolved([*others, ("total", "double")], {**less, "total": 1.0})[:2] == ("missing", "amount")
    assert protobuf_evolved([*others, ("amount", "string")], {**row, "amount": "12.34"}) == (1, "12.34", "DE", 2)
    assert protobuf_evolved([*others, ("amount", "string")], {**row, "amount": "much"})[:2] == ("type", "amount")


def test_a_field_that_cannot_be_told_from_its_default_is_that() -> None:
    fields = [(name, kind.replace("optional ", "")) for name, kind in PROTO_FIELDS]
    row = {name: value for name, value in for_protobuf(ROW).items() if name not in ("country", "items")}
    assert protobuf_evolved(fields, row) == ("range", "items", "1 to 50")


def test_a_message_of_another_type_of_the_file_is_found_by_its_place() -> None:
    file = descriptor_pb2.FileDescriptorProto(name="order.proto", package="shop", syntax="proto3")
    file.message_type.add(name="Other")
    outer = file.message_type.add(name="Outer")
    outer.nested_type.add(name="Nothing")
    inner = outer.nested_type.add(name="Inner")
    inner.field.add(name="word", number=1, type=9, label=1)
    schemas = {9: protobuf(file)}
    body = b"\x0a\x02hi"
    assert decode("protobuf", head(9) + b"\x04\x02\x02" + body, schemas) == {"word": "hi"}  # place 1, then place 1
    assert decode("protobuf", head(9) + b"\x00", schemas) == {}
    for place in (b"\x02\x06", b"\x04\x02\x08", b"\x02\x01", b"\x01", b"\xff" * 12, b""):
        assert isinstance(decode("protobuf", head(9) + place, schemas), Broken)


def test_values_that_json_has_no_type_for_become_what_json_would_say() -> None:
    fields = [
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "raw", "type": "bytes"},
        {"name": "few", "type": {"type": "array", "items": "bytes"}},
        {"name": "whole", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 0}},
    ]
    schema = avro(fields)
    row = {"day": dt.date(2026, 1, 2), "raw": b"ab", "few": [b"\xff"], "whole": Decimal(12)}
    found = decode("avro", avro_message(9, schema, row), {9: schema})
    assert found == {"day": "2026-01-02", "raw": "ab", "few": [{"base64": "/w=="}], "whole": 12}


def test_nested_messages_lists_maps_and_wrapped_values_are_plain() -> None:
    file = file_of(
        [("when", ".google.protobuf.Timestamp"), ("size", ".google.protobuf.Int64Value"), ("words", "repeated string")],
        imports=["google/protobuf/timestamp.proto", "google/protobuf/wrappers.proto"],
    )
    body = b"\x0a\x02\x08\x01" + b"\x12\x02\x08\x05" + b"\x1a\x01a\x1a\x01b"
    found = decode("protobuf", head(9) + b"\x00" + body, {9: protobuf(file)})
    assert found == {"when": "1970-01-01T00:00:01Z", "size": 5, "words": ["a", "b"]}


def test_a_schema_is_read_with_what_it_refers_to() -> None:
    place = json.dumps({"type": "record", "name": "place", "fields": [{"name": "city", "type": "string"}]})
    schema = replace(avro([{"name": "at", "type": "place"}]), references=(("place", place),))
    assert decode("avro", head(9) + b"\x04ab", {9: schema}) == {"at": {"city": "ab"}}
    assert isinstance(decode("avro", head(9) + b"\x04ab", {9: replace(schema, references=())}), Broken)

    other = file_of([("city", "string")], package="places", imports=())
    file = file_of([("at", ".places.Order")], imports=["shop/place.proto", "confluent/meta.proto"])
    text = base64.b64encode(other.SerializeToString()).decode()
    message = head(9) + b"\x00" + b"\x0a\x04\x0a\x02ab"
    whole = protobuf(file, [("shop/place.proto", text)])
    assert decode("protobuf", message, {9: whole}) == {"at": {"city": "ab"}}
    assert isinstance(decode("protobuf", message, {9: protobuf(file)}), Broken)


def test_a_contract_of_json_keeps_its_version_and_another_format_is_another_contract() -> None:
    assert contract_version(ORDERS) == contract_version(replace(ORDERS, format="json"))
    assert len({contract_version(replace(ORDERS, format=form)) for form in ("json", "avro", "protobuf")}) == 3


def test_the_revision_and_the_delete_of_a_message_come_by_its_headers_as_ever() -> None:
    rows = bronze([sent("avro", ROW)] * 2, revision=[0, None], op=[1, 0])
    checked = check(replace(ORDERS, format="avro"), rows, batch="", schemas=SCHEMAS)
    assert checked.accepted.column("_op").to_pylist() == [1]
    assert checked.rejected.column("column").to_pylist() == ["_revision"]
    assert checked.accepted.column("_known")[0].as_py() == KNOWN
    assert isinstance(checked.accepted, pa.Table)
