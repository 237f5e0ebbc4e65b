"""What the bytes of an event say, as the row that JSON of the same event gives.

It is a pure function of the bytes and the schemas that the lake keeps, so that stream, batch and audit read alike.
Messages of a topic with registered schemas have Confluent's wire format: a zero, the schema's id in four bytes, the
greatest first, and the value; in Protobuf the place of its message type comes before that.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import orjson

from sluice.errors import Outage
from sluice.lake.rowfiles import Unequal

Row: TypeAlias = dict[str, Any]
UNKNOWN = ""
"""The kind of a schema that the registry did not know when it was asked."""
_MAGIC = 0
HEAD = 5
"""How many bytes say that a message has a schema, and which."""


@dataclass(frozen=True)
class Schema:
    """A registered schema with all that it refers to, by name, each after what it refers to itself."""

    kind: str
    """`avro`, `protobuf` (its text is a file descriptor in base64), another one that nothing here reads, or unknown."""
    text: str
    references: tuple[tuple[str, str], ...] = ()
    subject: str = ""


class Broken(NamedTuple):
    """Why bytes are no row: the rule that they break, and what it asks for."""

    rule: str
    allowed: str


def decode(form: str, payload: bytes, schemas: Mapping[int, Schema]) -> Row | Broken:
    """The row of an event in the format of its topic; Outage where nobody has looked up the schema yet."""
    return _json(payload) if form == "json" else _registered(form, payload, schemas)


def json_rows(payloads: Sequence[bytes | None]) -> list[Row] | None:
    """The rows of payloads that are all JSON objects, which is only a faster way to the same; None where one is not."""
    try:
        rows = [orjson.loads(payload or b"") for payload in payloads]
    except orjson.JSONDecodeError:
        return None
    return rows if all(type(row) is dict for row in rows) else None


def schema_ids(payloads: Iterable[bytes | None]) -> set[int]:
    """The ids of the schemas that messages name."""
    return {found for payload in payloads if (found := _schema_id(payload or b"")) is not None}


def _json(payload: bytes) -> Row | Broken:
    """Each payload by itself: joined together, two broken ones could read as two good ones."""
    try:
        row = orjson.loads(payload)
    except orjson.JSONDecodeError:
        row = None
    if type(row) is dict:
        return row
    unequal = Unequal.of(payload)
    if unequal is not None:
        return Broken("json", f"{len(unequal.header)} fields, as the header has, and not {len(unequal.fields)}")
    return Broken("json", "a JSON object")


def _registered(form: str, payload: bytes, schemas: Mapping[int, Schema]) -> Row | Broken:
    number = _schema_id(payload)
    if number is None:
        return Broken("format", "a zero, the id of a schema in four bytes, and the value")
    schema = schemas.get(number)
    if schema is None:
        raise Outage(
            f"nobody has looked up schema {number} yet",
            where="schemas",
            next_step="ingest what the archive has written, which keeps it in the lake",
        )
    if schema.kind != form:
        return Broken("format", f"a schema of {form}, which the registry has" if not schema.kind else f"{form} only")
    read = _reader(schema)
    if read is None:
        return Broken("format", f"a schema of {form} for a record, with all that it refers to")
    try:
        return read(payload[HEAD:])
    except ValueError:
        return Broken("format", f"a value as schema {number} describes it, the whole of it")


def _schema_id(payload: bytes) -> int | None:
    if len(payload) < HEAD or payload[0] != _MAGIC:
        return None
    return int.from_bytes(payload[1:HEAD], "big")


@functools.lru_cache(maxsize=1024)
def _reader(schema: Schema) -> Callable[[bytes], Row] | None:
    """What reads the values of a schema; None where nothing can."""
    from sluice.lake.formats import avro, protobuf

    made = {"avro": avro.reader, "protobuf": protobuf.reader}[schema.kind]
    try:
        return made(schema.text, schema.references)
    except ValueError:
        return None
