"""Avro: a value as its writer's schema says, with the types that JSON has."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import fastavro
from fastavro.schema import SchemaParseException, UnknownType

from sluice.lake.rowfiles import bytes_as_text

_TORN = (ArithmeticError, AttributeError, EOFError, LookupError, RecursionError, TypeError, ValueError)
"""What fastavro raises for bytes that are no value of the schema, each at another place of it."""


def reader(text: str, references: Sequence[tuple[str, str]]) -> Callable[[bytes], dict[str, Any]]:
    """Reads the values of a schema; ValueError for a schema that is no record's, and for bytes that are no value.

    A field that has an alias is there under both names: who declared the old one goes on reading it.
    """
    schema, aliases = _parsed(text, references)

    def read(body: bytes) -> dict[str, Any]:
        source = BytesIO(body)
        try:
            found: Any = fastavro.schemaless_reader(source, schema, None)
        except _TORN as error:
            raise ValueError("no value of the schema") from error
        if source.tell() < len(body):
            raise ValueError("more than one value")
        row = {name: _plain(value) for name, value in found.items()}
        return row if not aliases else {alias: row[name] for alias, name in aliases} | row

    return read


def _parsed(text: str, references: Sequence[tuple[str, str]]) -> tuple[Any, list[tuple[str, str]]]:
    named: dict[str, Any] = {}
    try:
        for _, referenced in references:
            fastavro.parse_schema(_read(referenced), named_schemas=named)
        schema: Any = fastavro.parse_schema(_read(text), named_schemas=named)
    except (SchemaParseException, UnknownType, *_TORN) as error:
        raise ValueError("no Avro schema") from error
    if not isinstance(schema, dict) or schema.get("type") != "record":
        raise ValueError("no record")
    return schema, [(alias, field["name"]) for field in schema["fields"] for alias in field.get("aliases", ())]


def _read(text: str) -> Any:
    """A schema without its defaults: they are for readers with a schema of their own, and old ones do not fit it."""
    return json.loads(text, object_hook=lambda part: {name: part[name] for name in part if name != "default"})


def _plain(value: Any) -> Any:
    return _PLAIN[type(value)](value) if type(value) in _PLAIN else value


def _number(value: decimal.Decimal) -> int | float:
    """A decimal as JSON has it: without a fraction a whole number, else the nearest float."""
    whole = value == value.to_integral_value()
    return int(value) if whole else float(value)


def _text(value: Any) -> str:
    return str(value.isoformat())


_PLAIN: dict[type, Callable[[Any], Any]] = {
    bytes: bytes_as_text,
    decimal.Decimal: _number,
    dt.datetime: _text,
    dt.date: _text,
    dt.time: _text,
    uuid.UUID: str,
    list: lambda values: [_plain(value) for value in values],
    dict: lambda values: {name: _plain(value) for name, value in values.items()},
}
"""What JSON has no type for; a time is its text in RFC 3339."""
