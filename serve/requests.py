"""From the bytes of a request to encoded events, by the same typing and rules through which history enters."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from serve.rules import Problem, problems, shown
from sluice.clock import Clock, rfc3339
from sluice.declare.pipeline import ALL, Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import encode_column, row_hashes
from sluice.engine.facts import id_type
from sluice.lake.typing import Typed, id_of, type_column

MOST_EVENTS = 1_000
MOST_BYTES = 4_000_000


@dataclass(frozen=True)
class Refusal:
    """A request that was not scored: 400 when it cannot be read, 422 when an event breaks a rule, 503 while closed."""

    status: int
    problems: tuple[Problem, ...]

    @classmethod
    def whole(cls, status: int, rule: str, allowed: str, value: str = "", field: str = "") -> Refusal:
        """A refusal of the request itself rather than of one of its events."""
        return cls(status, (Problem(None, field, rule, value, allowed),))


@dataclass(frozen=True)
class Batch:
    """The events of one request, in their order: as they were sent (with a time), and as the kernel reads them."""

    events: Sequence[Mapping[str, Any]]
    encoded: pa.Table
    segments: Sequence[str]
    """The event's segment; `*` for one that has none."""
    keys: Sequence[Mapping[str, Any]]
    """The entity keys by name."""
    cards: Sequence[Any]
    """The key that a canary is drawn by."""

    def __len__(self) -> int:
        return len(self.events)


class RequestReader:
    """Reads requests for one pipeline; fields have their declared names, whatever the source calls them."""

    def __init__(self, pipeline: Pipeline, clock: Clock) -> None:
        self._pipeline = pipeline
        self._stream = replace(pipeline.events, sources={})
        self._known = frozenset(self._stream.all_columns)
        self._clock = clock

    def read(self, body: bytes) -> Batch | Refusal:
        """The events of a request, or every reason why it is refused; one bad event refuses all of them."""
        events = _events(body)
        if isinstance(events, Refusal):
            return events
        strange = [problem for index, event in enumerate(events) for problem in self._strange(index, event)]
        rows = [self._timed(event) if isinstance(event, dict) else {} for event in events]
        typed = {name: _typed(self._stream, name, [row.get(name) for row in rows]) for name in self._stream.all_columns}
        encoded = {name: encode_column(typed[name].values, column) for name, column in self._stream.columns.items()}
        objects = {index for index, event in enumerate(events) if isinstance(event, dict)}
        broken = [problem for problem in problems(self._stream, rows, typed, encoded) if problem.index in objects]
        if strange or broken:
            found = sorted([*strange, *broken], key=lambda problem: problem.index or 0)
            return Refusal(422, tuple(found))
        return self._batch(rows, typed, encoded)

    def _strange(self, index: int, event: object) -> list[Problem]:
        """An event that is no object, or fields that nobody declared: a misspelt key would score the empty state."""
        if not isinstance(event, dict):
            return [Problem(index, "", "json", shown(event), "a JSON object")]
        return [
            Problem(index, name, "unknown", shown(event[name]), self._nearest(name))
            for name in event
            if name not in self._known
        ]

    def _nearest(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._known, n=1)
        return near[0] if near else ", ".join(self._stream.all_columns)

    def _timed(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event with the clock's time if it has none of its own."""
        if event.get(self._stream.time) is not None:
            return event
        return {**event, self._stream.time: rfc3339(self._clock.now())}

    def _batch(self, rows: list[dict[str, Any]], typed: dict[str, Typed], encoded: dict[str, pa.Array]) -> Batch:
        keys = {name: typed[name].values.to_pylist() for name in self._pipeline.keys}
        own = {"_id": self._ids(typed, len(rows)), "_time": typed[self._stream.time].values.cast(pa.int64())}
        return Batch(
            events=rows,
            encoded=pa.table({**own, **encoded}),
            segments=self._segments(typed, len(rows)),
            keys=[dict(zip(keys, row, strict=True)) for row in zip(*keys.values(), strict=True)],
            cards=keys[self._pipeline.card_key],
        )

    def _ids(self, typed: dict[str, Typed], count: int) -> pa.Array:
        digests = row_hashes([item.values for item in typed.values()]) if len(self._stream.id_columns) != 1 else None
        places = np.arange(count)
        return id_of(self._stream, typed, places if digests is None else digests, places).cast(id_type(self._stream))

    def _segments(self, typed: dict[str, Typed], count: int) -> list[str]:
        if self._pipeline.segment_by is None:
            return [ALL] * count
        return [name or ALL for name in typed[self._pipeline.segment_by].values.to_pylist()]


def _events(body: bytes) -> list[Any] | Refusal:
    if len(body) > MOST_BYTES:
        return Refusal.whole(400, "size", f"{MOST_BYTES:,} bytes at most")
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        return Refusal.whole(400, "json", "a JSON object with a list of events", value=str(error)[:80])
    if not isinstance(request, dict) or not isinstance(request.get("events"), list):
        return Refusal.whole(400, "json", 'an object {"events": [{…}, …]}', field="events")
    extra = sorted(set(request) - {"events"})
    if extra:
        return Refusal.whole(400, "unknown", "events", field=extra[0][:80])
    if not 1 <= len(request["events"]) <= MOST_EVENTS:
        given = str(len(request["events"]))
        return Refusal.whole(422, "range", f"1 to {MOST_EVENTS:,} events", value=given, field="events")
    return list(request["events"])


def _typed(stream: Stream, name: str, values: list[Any]) -> Typed:
    """A column in canonical form; what the typing cannot even look at is of the wrong type."""
    try:
        return type_column(stream, name, values)
    except (ValueError, OverflowError):
        readable = np.array([_readable(stream, name, value) for value in values], bool)
        kept = [value if ok else None for value, ok in zip(values, readable, strict=True)]
        typed = type_column(stream, name, kept)
        return Typed(typed.values, typed.wrong | ~readable, typed.inexact)


def _readable(stream: Stream, name: str, value: Any) -> bool:
    try:
        type_column(stream, name, [value])
    except (ValueError, OverflowError):
        return False
    return True
