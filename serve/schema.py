"""The shapes of requests and answers as the outside world reads them: pydantic models made from the declaration.

They describe; what is refused is decided by the typing and rules of ingest (`serve.requests`), which also read `"3"`
as 3. Everything that these models accept is accepted there, except decimals with more digits than declared.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from serve.requests import MOST_EVENTS
from serve.rules import LONGEST
from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Integer, Key
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream


class Result(BaseModel):
    """The answer to one event."""

    id: int | str | None = Field(description="the event's id, as it was sent")
    score: float = Field(ge=0, le=1, description="calibrated probability")
    decision: str = Field(description="the label of the highest threshold of the model that the score reaches")
    segment: str
    model: str
    version: str
    definition: str = Field(description="hash of the features' definition")
    degraded: bool = Field(description="true when history could not be read or another model had to stand in")


class ScoreResponse(BaseModel):
    """The answers, in the order of the events."""

    request_id: str
    results: list[Result]


class RefusedField(BaseModel):
    """One reason for which a request was refused."""

    index: int | None = Field(description="which event; null for the request itself")
    field: str
    rule: Literal[
        "json", "size", "unknown", "type", "scale", "missing", "category", "range", "pattern", "model", "ready"
    ]
    value: str = Field(description=f"what was sent, at most {LONGEST} characters of it")
    allowed: str


class Errors(BaseModel):
    """Every reason; nothing of the request was scored."""

    errors: list[RefusedField]


class SegmentState(BaseModel):
    """The models of a segment, the champion first."""

    stage: Literal["champion", "shadow", "canary"]
    share: float
    models: list[str]


class Refused(BaseModel):
    """A routing whose models could not be loaded."""

    routing: str
    reason: str


class Readiness(BaseModel):
    """Whether requests are answered in full, and with what."""

    ready: bool
    replica: str = Field(description="which process answers")
    pipeline: str
    definition: str
    routing: str = Field(description="version of the routing in force")
    segments: dict[str, SegmentState]
    tables: dict[str, int] = Field(description="the version of each as-of table that is looked up")
    missing: str = Field(description="what is not there yet")
    refused: Refused | None


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"]


def request_model(pipeline: Pipeline) -> type[BaseModel]:
    """The body of `POST /score`: a list of events with the declared columns."""
    event = _event_model(pipeline)
    events = (list[event], Field(min_length=1, max_length=MOST_EVENTS))  # type: ignore[valid-type]
    described = f"Events of the pipeline {pipeline.name!r} to score."
    return create_model("ScoreRequest", __config__=ConfigDict(extra="forbid"), __doc__=described, events=events)


def _event_model(pipeline: Pipeline) -> type[BaseModel]:
    stream = pipeline.events
    fields: dict[str, Any] = {name: _own_field(stream, name) for name in (*stream.id_columns, stream.time)}
    for name, column in stream.columns.items():
        kind = _type(column)
        fields[name] = (kind | None, None) if column.nullable else (kind, ...)
    described = f"An event of {stream.name!r}; one bad field refuses the whole request."
    return create_model("Event", __config__=ConfigDict(extra="forbid"), __doc__=described, **fields)


def _own_field(stream: Stream, name: str) -> Any:
    if name == stream.time:
        return (dt.datetime | None, Field(None, description="event time, UTC without a zone; the clock's when absent"))
    column = stream.columns.get(name)
    kind = _type(column) if column is not None else _key_type(stream.id_type)
    return (kind | None, Field(None, description="after every other event of the same instant when absent"))


def _type(column: Column) -> Any:
    match column:
        case Category():
            return Literal[column.categories] if column.categories else _text(column)
        case Decimal():
            steps = f"{column.scale} digits after the point"
            return Annotated[float, Field(ge=column.min, le=column.max, description=steps)]
        case Integer():
            return Annotated[int, Field(ge=column.min, le=column.max)]
        case Flag():
            return Literal[0, 1] | bool
        case Key():
            return _key_type(column.type) if column.like is None else _text(column)
        case ForeignKey():
            return _key_type(column.to.id_type)
        case _:
            raise TypeError(f"a request cannot have a {column.kind}")


def _text(column: Column) -> Any:
    return str if column.like is None else Annotated[str, Field(pattern=f"^(?:{column.like})$")]


def _key_type(kind: str) -> Any:
    return Annotated[int, Field(ge=-(2**63) + 1, le=2**63 - 1)] if kind == "integer" else str
