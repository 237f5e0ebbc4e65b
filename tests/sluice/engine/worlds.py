"""Histories and requests for the properties: few ids, few keys and times on the edges, so that everything collides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Key
from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.facts import encoded_schema
from tests.sluice.engine.oracle import DELETE, PUT, Asked, Version

several = settings(
    # a world takes a hundred times as long as most examples
    max_examples=settings().max_examples // 4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
START = 1_706_918_400_000_000
"""2024-02-03 00:00 UTC, a Saturday."""
IDS: dict[str, list[int | str]] = {
    "integer": [0, 1, 2, -7, 2**62],
    "text": ["", "a", "b", "é", "\uffff", "\U00010000"],
}
KEYS: dict[str, list[int | str | None]] = {"integer": [0, 1, None], "text": ["", "x", None]}


@dataclass(frozen=True)
class World:
    """Versions of events in some order of arrival, and requests."""

    versions: list[Version]
    requests: list[Asked]


@st.composite
def worlds(draw: st.DrawFn, pipeline: Pipeline, *, size: int = 14) -> World:
    versions = draw(st.lists(st.one_of([versions_of(stream) for stream in pipeline.streams]), max_size=size))
    copies = draw(st.lists(st.sampled_from(versions), max_size=3)) if versions else []
    again = [draw(copies_of(version)) for version in copies]
    requests = draw(st.lists(requests_of(pipeline, versions), min_size=1, max_size=5))
    return World(draw(st.permutations([*versions, *again])), requests)


@st.composite
def versions_of(draw: st.DrawFn, stream: Stream) -> Version:
    time = draw(times())
    op = draw(st.sampled_from([PUT, PUT, PUT, DELETE]))
    bare = op == DELETE and draw(st.booleans())
    values = {name: None if bare else draw(values_of(column)) for name, column in stream.columns.items()}
    version = Version(stream.name, draw(ids_of(stream)), time, values, digest(time, values))
    return draw(copies_of(replace(version, revision=draw(st.integers(0, 2)), op=op)))


@st.composite
def copies_of(draw: st.DrawFn, version: Version) -> Version:
    """The same bytes at another moment: another known_at and another place in its partition."""
    known = version.time + draw(st.sampled_from([0, 1, MINUTE, 2 * MINUTE, 2 * MINUTE + 1, 4 * MINUTE]))
    ahead = draw(st.sampled_from([None, None, None, 0, 3 * MINUTE, 4 * MINUTE, 7 * MINUTE]))
    watermark = None if ahead is None else version.time + ahead + draw(st.sampled_from([-1, 0, 1]))
    return replace(version, known=known, watermark=watermark)


@st.composite
def requests_of(draw: st.DrawFn, pipeline: Pipeline, versions: Sequence[Version]) -> Asked:
    """A request at any moment, one whose window ends exactly at an event, or an event's own."""
    events = pipeline.events
    scored = [version for version in versions if version.stream == events.name and version.op == PUT]
    if scored and draw(st.booleans()):
        own = draw(st.sampled_from(scored))
        return Asked(own.time, own.id, own.values)
    time = draw(times())
    if versions:
        edges = [0, *(view.lag for view in pipeline.windows)]
        edges += [view.lag + int(item.window or 0) for view in pipeline.windows for item in view.functions]
        edge = draw(st.sampled_from(sorted(set(edges)))) + draw(st.sampled_from([-1, 0, 1]))
        time = draw(st.sampled_from([time, draw(st.sampled_from(versions)).time + edge]))
    values = {name: draw(values_of(column)) for name, column in events.columns.items()}
    return Asked(time, draw(st.one_of(st.none(), ids_of(events))), values)


def times() -> st.SearchStrategy[int]:
    return st.builds(lambda minute, off: START + minute * MINUTE + off, st.integers(-3, 6), st.sampled_from([-1, 0, 1]))


def ids_of(stream: Stream) -> st.SearchStrategy[int | str]:
    return st.sampled_from(IDS["integer" if stream.id_type == "integer" and stream.id_columns else "text"])


def values_of(column: Column) -> st.SearchStrategy[Any]:
    """Encoded values; the bounds themselves are among them."""
    if isinstance(column, Key):
        return st.sampled_from(KEYS[column.type])
    some: st.SearchStrategy[Any]
    if isinstance(column, ForeignKey):
        some = ids_of(column.to)
    elif isinstance(column, Category):
        some = st.integers(0, len(column.categories) - 1) if column.categories else st.integers(-(2**63), 2**63 - 1)
    elif isinstance(column, Flag):
        some = st.integers(0, 1)
    else:
        step = 10**column.scale if isinstance(column, Decimal) else 1
        low, high = (int(bound * step) for bound in column.bounds or (0, 0))
        some = st.one_of(st.sampled_from([low, high]), st.integers(max(low, -3), min(high, 9)))
    return st.one_of(st.none(), some, some, some) if column.nullable else some


def digest(time: int, values: dict[str, Any]) -> int:
    """A signed 64-bit hash of an event's bytes."""
    text = repr((time, sorted(values.items()))).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little", signed=True)


def tables(pipeline: Pipeline, versions: Sequence[Version]) -> dict[str, pa.Table]:
    """The encoded table of every stream."""
    return {stream.name: table(stream, [v for v in versions if v.stream == stream.name]) for stream in pipeline.streams}


def table(stream: Stream, versions: Sequence[Version]) -> pa.Table:
    rows = [
        {
            "_id": v.id,
            "_time": v.time,
            "_revision": v.revision,
            "_op": v.op,
            "_hash": v.hash,
            "_known": v.known,
            "_watermark": v.watermark,
            **v.values,
        }
        for v in versions
    ]
    return pa.Table.from_pylist(rows, schema=encoded_schema(stream))


def asked_table(pipeline: Pipeline, requests: Sequence[Asked]) -> pa.Table:
    """Requests as encoded events of the scored stream."""
    own = {"_revision": 0, "_op": PUT, "_hash": 0, "_watermark": None}
    rows = [{**own, "_id": r.id, "_time": r.time, "_known": r.time, **r.values} for r in requests]
    return pa.Table.from_pylist(rows, schema=encoded_schema(pipeline.events))
