"""Histories and requests for the properties: few ids, few keys and times on the edges, so that everything collides."""

from __future__ import annotations

import functools
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from sluice.declare.columns import Category, Column, Decimal, Flag, ForeignKey, Key
from sluice.declare.durations import MINUTE
from sluice.declare.functions import LIFETIME
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.facts import encoded_schema
from tests.sluice.engine.oracle import DELETE, PUT, Asked, Version

several = settings(
    # a world takes a hundred times as long as most examples
    max_examples=max(2, settings().max_examples // 6),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
many = settings(several, max_examples=settings().max_examples // 2)
START = 1_706_918_400_000_000
"""2024-02-03 00:00 UTC, a Saturday."""
IDS: dict[str, list[int | str]] = {
    "integer": [0, 1, 2, -7, 2**62],
    "text": ["a", "b", "", "é", "\uffff", "\U00010000"],
}
KEYS: dict[str, list[int | str | None]] = {"integer": [0, 1, None], "text": ["x", "", None]}


@dataclass(frozen=True)
class World:
    """Versions of events in some order of arrival, and requests."""

    versions: list[Version]
    requests: list[Asked]


@st.composite
def worlds(draw: st.DrawFn, pipeline: Pipeline) -> World:
    plain = [stream for stream in pipeline.streams if not stream.parent]
    telling = [stream for stream in pipeline.streams if stream.parent]
    events = draw(some(st.one_of([versions_of(pipeline, stream) for stream in plain])))
    told = draw(some(st.one_of([told_versions(pipeline, stream, events) for stream in telling])))
    versions = [*events, *told]
    copies = draw(st.lists(st.sampled_from(versions), max_size=3)) if versions else []
    again = [replace(draw(copies_of(pipeline, one)), op=abs(one.op - draw(TURNED))) for one in copies]
    requests = draw(st.lists(requests_of(pipeline, versions), min_size=1, max_size=3))
    requests += (
        draw(st.lists(edge_requests(pipeline, versions), min_size=2, max_size=2)) if scored(pipeline, versions) else []
    )
    return World(draw(st.permutations([*versions, *again])), requests)


@st.composite
def told_worlds(draw: st.DrawFn, pipeline: Pipeline) -> World:
    """One or two events of which much is told, and requests on the edges of what can be known of them."""
    label = pipeline.label
    values = payloads(label.of)[0]
    ids = choices_of_ids(label.of)[:2]
    events = [Version(label.of.name, id_, START, values, digest(START, values)) for id_ in ids]
    told = draw(st.lists(told_versions(pipeline, label.told_by, events), min_size=2, max_size=6))
    copies = [draw(copies_of(pipeline, version)) for version in told[: draw(st.integers(0, 2))]]
    moments = [version.known for version in told] + [START + edge for edge in edges(pipeline)]
    times = draw(st.lists(st.sampled_from(moments), min_size=3, max_size=6))
    requests = [Asked(time + draw(JITTER), None, values) for time in times]
    return World(draw(st.permutations([*events, *told, *copies])), requests)


def some(strategy: st.SearchStrategy[Version]) -> st.SearchStrategy[list[Version]]:
    """None, or enough to collide."""
    return st.one_of(st.just([]), st.lists(strategy, min_size=3, max_size=7))


@st.composite
def versions_of(draw: st.DrawFn, pipeline: Pipeline, stream: Stream) -> Version:
    time = draw(times())
    op = draw(OPS)
    values = draw(payloads_of(stream))
    if op == DELETE and draw(st.booleans()):
        values = dict.fromkeys(values)
    version = Version(stream.name, draw(ids_of(stream)), time, values, digest(time, values))
    return draw(copies_of(pipeline, replace(version, revision=draw(REVISIONS), op=op)))


@st.composite
def told_versions(draw: st.DrawFn, pipeline: Pipeline, stream: Stream, events: list[Version]) -> Version:
    """What is told about an event: soon after it, or as far from it as it may be, and now and then about another."""
    version = draw(versions_of(pipeline, stream))
    scored = [event for event in events if event.stream == pipeline.events.name]
    if not scored or draw(ELSEWHERE):
        return version
    event, link = draw(st.sampled_from(scored)), stream.parent[0] if stream.parent else ""
    kept = max(view.horizon for view in pipeline.windows)
    time = event.time + draw(st.sampled_from([0, 0, MINUTE, 2 * MINUTE, kept, kept, -kept])) + draw(BESIDE)
    values = {**version.values, link: event.id if version.values[link] is not None else None}
    about = replace(
        version, time=time, values=values, hash=digest(time, values), known=version.known - version.time + time
    )
    if version.watermark is None or draw(st.booleans()):
        return about
    horizon = draw(st.sampled_from([view.horizon for view in pipeline.windows]))
    return replace(about, watermark=event.time + horizon + draw(JITTER))


@st.composite
def copies_of(draw: st.DrawFn, pipeline: Pipeline, version: Version) -> Version:
    """The same bytes at another moment: another known_at and another place in its partition."""
    known = version.time + draw(DELAYS)
    ahead = draw(st.sampled_from([None, None, None, 0, *(view.horizon for view in pipeline.windows)]))
    watermark = None if ahead is None else draw(st.one_of(times(), st.just(version.time))) + ahead
    return replace(version, known=known, watermark=None if watermark is None else watermark + draw(JITTER))


@st.composite
def requests_of(draw: st.DrawFn, pipeline: Pipeline, versions: Sequence[Version]) -> Asked:
    """An event's own request or one of its moment, one where a window begins or ends, or one at any moment."""
    events = pipeline.events
    own = draw(st.sampled_from([None, *scored(pipeline, versions)]))
    if own is not None and draw(st.booleans()):
        return Asked(own.time, draw(st.one_of(st.just(own.id), ids_of(events))), own.values)
    time = draw(times())
    if versions:
        seen = draw(st.sampled_from(versions))
        time = draw(st.sampled_from([seen.known, *(seen.time + edge for edge in edges(pipeline))])) + draw(JITTER)
    values = own.values if own is not None else draw(payloads_of(events))
    return Asked(time, draw(ids_or_none(events)), values)


def scored(pipeline: Pipeline, versions: Sequence[Version]) -> list[Version]:
    """The scored events among some versions."""
    return [version for version in versions if version.stream == pipeline.events.name and version.op == PUT]


@st.composite
def edge_requests(draw: st.DrawFn, pipeline: Pipeline, versions: Sequence[Version]) -> Asked:
    """A request of an event's entity where a window begins or ends to hold the event, or a microsecond beside."""
    own = draw(st.sampled_from(scored(pipeline, versions)))
    time = own.time + draw(st.sampled_from(edges(pipeline))) + draw(st.sampled_from([0, -1, 1]))
    return Asked(time, draw(ids_or_none(pipeline.events)), own.values)


def crowded(pipeline: Pipeline, seed: int, size: int = 50) -> World:
    """One busy entity, by seed: at every moment some of its events are on their way, and earlier ones are corrected."""
    chance, versions = random.Random(seed), list[Version]()
    for number in range(size):
        if versions and chance.random() < 0.2:
            versions.append(_corrected(chance, chance.choice(versions[-40:])))
        else:
            versions.append(_arriving(chance, pipeline, number, versions))
    about = [version for version in versions if version.stream == pipeline.events.name]
    edges_ = [0, 0, 0, 1, MINUTE, 3 * MINUTE]
    requests = [
        Asked(own.time + chance.choice(edges_), chance.choice([own.id, None]), own.values)
        for own in chance.choices(about, k=size // 4)
    ]
    return World(chance.sample(versions, len(versions)), requests)


def _arriving(chance: random.Random, pipeline: Pipeline, number: int, versions: list[Version]) -> Version:
    """An event that arrives at once, soon, or after it has left most windows."""
    stream = chance.choice(pipeline.streams)
    time = START + number * MINUTE // 10
    id_ = number if stream.id_type == "integer" and stream.id_columns else f"i{number:04}"
    keys = {name: choices_of(column)[0] for name, column in stream.columns.items() if isinstance(column, Key)}
    values = chance.choice(payloads(stream)) | (keys if chance.random() < 0.9 else {})
    ids = [version.id for version in versions if version.stream == pipeline.events.name]
    if stream.parent and ids:
        values |= {stream.parent[0]: chance.choice(ids[-30:])}
    known = time + chance.choice([0, 0, 1, MINUTE // 20, MINUTE, 2 * MINUTE, 6 * MINUTE])
    watermark = chance.choice([None, None, time, time + MINUTE, time + 4 * MINUTE, time + 7 * MINUTE])
    return Version(stream.name, id_, time, values, digest(time, values), known=known, watermark=watermark)


def _corrected(chance: random.Random, version: Version) -> Version:
    """A copy of a version at another place, a correction of it, or its end."""
    if chance.random() < 0.3:
        watermark = chance.choice([None, version.time, version.time + 5 * MINUTE])
        return replace(version, known=version.known + chance.choice([-1, 0, MINUTE]), watermark=watermark)
    time = version.time + chance.choice([0, 0, 0, MINUTE])
    known = version.known + chance.choice([0, MINUTE, 3 * MINUTE])
    revision, op = chance.choice([0, 1, 2]), chance.choice([PUT, PUT, DELETE])
    return replace(version, time=time, hash=digest(time, version.values), known=known, revision=revision, op=op)


# strategies are made once, for making one takes longer than drawing from it
JITTER = st.sampled_from([0, 0, 0, -1, 1])
BESIDE = st.sampled_from([0, 0, -1, 1])
OPS = st.sampled_from([PUT, PUT, PUT, DELETE])
TURNED = st.sampled_from([0, 0, 1])
"""Now and then the same bytes are put and deleted at one revision."""
REVISIONS = st.sampled_from([0, 0, 1, 2])
ELSEWHERE = st.sampled_from([False] * 4 + [True])
DELAYS = st.sampled_from([0, 1, MINUTE, 2 * MINUTE, 2 * MINUTE + 1, 4 * MINUTE])


@functools.cache
def times() -> st.SearchStrategy[int]:
    """Moments a whole number of minutes apart, give or take a microsecond."""
    return st.builds(lambda minute, off: START + minute * MINUTE + off, st.integers(0, 5), JITTER)


def edges(pipeline: Pipeline) -> list[int]:
    """How long after an event some window of the pipeline begins or ceases to hold it."""
    ends = {view.lag for view in pipeline.windows}
    windows = {(view, item.window or 0) for view in pipeline.windows for item in view.functions}
    return sorted(ends | {view.lag + window for view, window in windows if window != LIFETIME})


@functools.cache
def ids_of(stream: Stream) -> st.SearchStrategy[int | str]:
    return st.sampled_from(choices_of_ids(stream))


@functools.cache
def ids_or_none(stream: Stream) -> st.SearchStrategy[int | str | None]:
    return st.one_of(st.none(), ids_of(stream))


@functools.cache
def payloads_of(stream: Stream) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(payloads(stream))


def choices_of_ids(stream: Stream) -> list[int | str]:
    listed = IDS["integer" if stream.id_type == "integer" and stream.id_columns else "text"]
    return [*listed[:2] * 3, *listed]


@functools.cache
def payloads(stream: Stream) -> list[dict[str, Any]]:
    """Encoded values of all columns, the plainest first; the bounds themselves are among them."""
    chance = random.Random(stream.name)
    columns = {name: choices_of(column) for name, column in stream.columns.items()}
    first = {name: choices[0] for name, choices in columns.items()}
    return [first, *({name: chance.choice(choices) for name, choices in columns.items()} for _ in range(60))]


def choices_of(column: Column) -> list[Any]:
    if isinstance(column, Key):
        return [*KEYS[column.type][:1] * 5, *KEYS[column.type]]
    if isinstance(column, ForeignKey):
        found: list[Any] = choices_of_ids(column.to)
    elif isinstance(column, Category):
        found = list(range(len(column.categories))) or [7, -(2**63), 2**63 - 1]
    elif isinstance(column, Flag):
        found = [0, 1]
    else:
        step = 10**column.scale if isinstance(column, Decimal) else 1
        low, high = (int(bound * step) for bound in column.bounds or (0, 0))
        found = [max(low, 1), max(low, -3), min(high, 9), low, high]
    return [*found, *found, None] if column.nullable else found


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
