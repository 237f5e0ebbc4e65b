"""Feast types of declared columns and features: numbers Float64, codes and whole numbers Int64, keys as declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from feast import Field
from feast.types import Bytes, Float64, Int64, String

from sluice.declare.asof import AsOf
from sluice.declare.columns import Category, Column, Decimal, ForeignKey, Key
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Request, Windows


def key_type(column: Key) -> Any:
    """The Feast type of an entity key."""
    return String if column.type == "text" else Int64


def request_field(pipeline: Pipeline, name: str) -> Field:
    """A column of the request as a caller passes it; its time is text, since Feast's timestamps hold whole seconds."""
    stream = pipeline.events
    if name == stream.time:
        return Field(name=name, dtype=String, description="RFC 3339, such as 2026-01-31T12:00:00.000001Z")
    column = stream.columns.get(name)
    return Field(name=name, dtype=_id_type(stream) if column is None else _column_type(column))


def feature_fields(
    pipeline: Pipeline, view: Windows | AsOf | Request, tags: Mapping[str, str] | None = None
) -> list[Field]:
    """The places of the vector that a view fills, under their names inside the view."""
    prefix = f"{view.name}__"
    mine = [place for place in pipeline.features if place.name.startswith(prefix)]
    return [
        Field(name=place.name.removeprefix(prefix), dtype=Float64 if place.kind == "number" else Int64, tags=tags)
        for place in mine
    ]


def tiles_name(view: Windows) -> str:
    """The feature that carries an entity's tiles; its own for each view, since Feast drops what two views share."""
    return f"{view.name}_tiles"


def tiles_field(view: Windows) -> Field:
    """The entity's exact state, from which an `_at` view takes the values of any moment."""
    return Field(name=tiles_name(view), dtype=Bytes)


def version_name(view: AsOf) -> str:
    """The feature that carries which version of a table is looked up; its own for each view."""
    return f"{view.name}_version"


def version_field(view: AsOf) -> Field:
    """Where the table is and its newest version, from which an on-demand view takes the row of any moment."""
    return Field(name=version_name(view), dtype=String)


def _id_type(stream: Stream) -> Any:
    return Int64 if stream.id_type == "integer" else String


def _column_type(column: Column) -> Any:
    if isinstance(column, Key):
        return key_type(column)
    if isinstance(column, ForeignKey):
        return _id_type(column.to)
    if isinstance(column, Category):
        return String
    return Float64 if isinstance(column, Decimal) else Int64
