"""What the client of a schema registry makes of its answers, and that no other answer passes for one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sluice.errors import UserError
from sluice.lake.decoding import Schema, decode
from sluice.lake.registry import ConfluentRegistry, registry_at
from sluice.lake.schemas import RegistryDown
from sluice.local.ports import free_port
from tests.registry_server import RegistryServer, registry_server
from tests.sluice.lake.messages import file_of, head, protobuf

pytestmark = pytest.mark.integration

TEXT = '{"type": "record", "name": "r", "fields": []}'
SOURCE = 'syntax = "proto3"; message Order {}'


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    with registry_server() as found:
        yield found


def test_a_schema_without_a_type_is_avro_and_has_the_subject_that_uses_it(server: RegistryServer) -> None:
    server.put("/schemas/ids/7", {"schema": TEXT})
    server.put("/schemas/ids/7/versions", [{"subject": "shop.orders-value", "version": 3}])
    assert ConfluentRegistry(f"{server.url}/").schema(7) == Schema("avro", TEXT, (), "shop.orders-value")


def test_a_protobuf_schema_is_asked_for_as_a_descriptor(server: RegistryServer) -> None:
    text = protobuf(file_of()).text
    server.put("/schemas/ids/7", {"schema": SOURCE, "schemaType": "PROTOBUF"})
    server.put("/schemas/ids/7", {"schema": text, "schemaType": "PROTOBUF"}, form="serialized")
    assert ConfluentRegistry(server.url).schema(7) == Schema("protobuf", text)


def test_a_registry_that_has_protobuf_as_source_only_is_no_registry_for_it(server: RegistryServer) -> None:
    for form in ("", "serialized"):
        server.put("/schemas/ids/7", {"schema": SOURCE, "schemaType": "PROTOBUF"}, form=form)
    with pytest.raises(UserError, match=r"source only\n  allowed: one that answers \?format=serialized"):
        ConfluentRegistry(server.url).schema(7)


def test_what_a_schema_refers_to_comes_with_it_each_after_what_it_refers_to_itself(server: RegistryServer) -> None:
    inner, middle = (protobuf(file_of([("n", "int64")], imports=(), package=name)).text for name in ("inner", "middle"))
    outer = file_of([("at", ".middle.Order"), ("in", ".inner.Order")], imports=["middle.proto", "inner.proto"])
    to_inner = {"name": "inner.proto", "subject": "a/inner", "version": 2}
    to_middle = {"name": "middle.proto", "subject": "middle", "version": 1}
    kind = {"schemaType": "PROTOBUF", "references": [to_middle, to_inner]}
    server.put("/schemas/ids/7", {"schema": SOURCE, **kind})
    server.put("/schemas/ids/7", {"schema": protobuf(outer).text, **kind}, form="serialized")
    server.put("/subjects/a%2Finner/versions/2", {"schema": inner}, form="serialized")
    server.put("/subjects/middle/versions/1", {"schema": middle, "references": [to_inner]}, form="serialized")
    found = ConfluentRegistry(server.url).schema(7)
    assert found is not None
    assert found.references == (("inner.proto", inner), ("middle.proto", middle))
    assert server.asked.count("/subjects/a%2Finner/versions/2") == 1
    assert decode("protobuf", head(7) + b"\x00\x12\x02\x08\x05", {7: found}) == {"in": {"n": 5}}


def test_an_id_without_a_schema_has_none(server: RegistryServer) -> None:
    assert ConfluentRegistry(server.url).schema(7) is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
        (404, "<html>no such page</html>"),
        (200, "<html>please log in</html>"),
        (200, []),
        (200, {"message": "please log in"}),
        (401, {"error_code": 401}),
        (500, {"error_code": 50001}),
        (503, ""),
    ],
)
def test_no_other_answer_says_that_there_is_no_schema(server: RegistryServer, status: int, body: object) -> None:
    server.answers["/schemas/ids/7", ""] = (status, body)
    with pytest.raises(RegistryDown, match="nothing is judged until then"):
        ConfluentRegistry(server.url).schema(7)


def test_a_reference_that_is_not_there_is_an_outage(server: RegistryServer) -> None:
    reference = {"name": "place", "subject": "place", "version": 1}
    server.put("/schemas/ids/7", {"schema": TEXT, "references": [reference]})
    with pytest.raises(RegistryDown, match="subjects/place/versions/1"):
        ConfluentRegistry(server.url).schema(7)


def test_a_registry_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(RegistryDown, match="the schema registry does not answer"):
        ConfluentRegistry(f"http://127.0.0.1:{free_port(20_000)}").schema(7)


def test_the_user_in_the_address_is_sent_and_never_shown(server: RegistryServer) -> None:
    url = server.url.replace("//", "//ann:secret@")
    server.put("/schemas/ids/7", {}, status=500)
    with pytest.raises(RegistryDown) as down:
        ConfluentRegistry(url).schema(7)
    assert server.authorised == "Basic YW5uOnNlY3JldA=="
    assert "secret" not in str(down.value)
    assert server.url in str(down.value)


def test_nobody_has_to_name_a_registry() -> None:
    assert registry_at(None) is None
