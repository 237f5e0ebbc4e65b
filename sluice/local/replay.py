"""The replay driver: live days on the event clock, scored over HTTP and produced to Kafka, as fast as both keep up.

It alone moves the clock. Each slice of the feed is first scored, as a payment is when it is asked about, then produced;
the next slice waits until the fold has taken in the last one. What the callers saw of the service, and how fresh the
features were, is appended to the lake, where the report reads it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import httpx
import orjson
import pyarrow as pa
import xxhash

from sluice.clock import FileClock
from sluice.declare.pipeline import Pipeline
from sluice.engine.store import Partition, TileReader
from sluice.errors import Outage
from sluice.lake.tables import Lake
from sluice.local.messages import Message
from sluice.stream.keys import record_key
from sluice.stream.producer import Sender
from sluice.stream.topics import stream_topic

REQUESTS = pa.schema(
    {
        "request_id": pa.string(),
        "events": pa.int64(),
        "status": pa.int64(),
        "latency_us": pa.int64(),
        "problem": pa.string(),
        "at": pa.int64(),
    }
)
"""The table `requests`: what the callers saw; a status of 0 is a connection that failed."""
FRESHNESS = pa.schema({"topic": pa.string(), "offset": pa.int64(), "latency_us": pa.int64(), "at": pa.int64()})
"""The table `freshness`: from the produce call to the first read whose knowledge includes the event."""

_SAMPLED = 20
"""One offset in so many is measured: enough for percentiles, and small."""


class _Sent(NamedTuple):
    """A record that was produced: where it lies, and when the call was made."""

    partition: Partition
    offset: int
    at: int


class Signal(Protocol):
    """What another thread or process can set."""

    def wait(self, timeout: float) -> object:
        """Wait until it is set, or so many seconds."""
        ...


@dataclass
class Replay:
    """Replays a feed; `share` of the scored stream's events are asked about, `together` of them in a request."""

    pipeline: Pipeline
    lake: Lake
    store: TileReader
    clock: FileClock
    producer: Sender
    url: str
    share: float = 1.0
    together: int = 3
    slice: int = 120
    patience_s: float = 60.0
    """How long the fold may take over one slice."""
    pace_s: float = 0.0
    """The pause before each request, for a replay that has to last as long as something else does."""
    hurry: Signal = field(default_factory=threading.Event)
    """Once it is set there are no more pauses."""
    _asked: list[dict[str, Any]] = field(default_factory=list)
    _fresh: list[dict[str, Any]] = field(default_factory=list)

    def run(self, feed: Iterable[Message]) -> None:
        """Replay the whole feed, and keep what was seen."""
        try:
            with httpx.Client(base_url=self.url, timeout=30) as client:
                for items in _slices(feed, self.slice):
                    self.clock.move_to(items[-1].arrival)
                    for request in _groups(self._chosen(items), self.together):
                        self.hurry.wait(self.pace_s)
                        self.ask_again(client, request, items[-1].arrival)
                    self._produce(items)
        finally:
            self.keep()

    def ask_again(self, client: httpx.Client, events: Sequence[dict[str, Any]], at: int) -> None:
        """Score events in one request; if the service refuses some, ask once more about the others."""
        status, answer = self.ask(client, events, at)
        refused = {error["index"] for error in answer.get("errors", [])}
        rest = [event for index, event in enumerate(events) if index not in refused]
        if status == httpx.codes.UNPROCESSABLE_ENTITY and rest and refused:
            self.ask(client, rest, at)

    def ask(self, client: httpx.Client, events: Sequence[dict[str, Any]], at: int) -> tuple[int, dict[str, Any]]:
        """Score events in one request; its status, 0 for a connection that failed, and the answer."""
        answer: dict[str, Any] = {}
        begun = time.perf_counter_ns()
        try:
            response = client.post("/score", content=orjson.dumps({"events": events}))
            status, problem = response.status_code, "" if response.is_success else response.text[:500]
            answer = response.json() if response.headers.get("content-type", "").startswith("application/json") else {}
        except httpx.HTTPError as error:
            status, problem = 0, repr(error)
        latency = (time.perf_counter_ns() - begun) // 1000
        seen = {"request_id": answer.get("request_id"), "events": len(events), "status": status}
        self._asked.append({**seen, "latency_us": latency, "problem": problem, "at": at})
        return status, answer

    def keep(self) -> None:
        """Append what was seen to the lake."""
        asked, self._asked = self._asked, []
        fresh, self._fresh = self._fresh, []
        self.lake.append_rows("requests", asked, REQUESTS)
        self.lake.append_rows("freshness", fresh, FRESHNESS)

    def _chosen(self, items: Sequence[Message]) -> Iterator[dict[str, Any]]:
        """The events of a slice that are asked about, under their declared names; always the same ones for a feed."""
        stream = self.pipeline.events
        limit = int(self.share * 2**64)
        for item in items:
            if (
                item.stream == stream.name
                and item.id is not None
                and xxhash.xxh3_64_intdigest(str(item.id).encode()) < limit
            ):
                row = orjson.loads(item.payload)
                yield {name: row.get(stream.source(name)) for name in stream.all_columns}

    def _produce(self, items: Sequence[Message]) -> None:
        """Produce a slice, then wait until a read of the store knows all of it."""
        waiting: deque[_Sent] = deque()
        for item in items:
            topic, sent = stream_topic(self.pipeline.name, item.stream), time.perf_counter_ns()
            key = record_key(self.pipeline.stream(item.stream), item.payload)
            self.producer.send(topic, item.payload, at=item.arrival, key=key, stored=_noting(waiting, topic, sent))
        self.producer.flush()
        deadline = time.monotonic() + self.patience_s
        while waiting := self._unknown(waiting, items[-1].arrival):
            if time.monotonic() > deadline:
                raise Outage(
                    f"the fold has not taken in offset {waiting[0].offset} of {waiting[0].partition[0]} "
                    f"for {self.patience_s:g} s",
                    where="replay",
                    next_step="look at the fold consumer's log",
                )
            time.sleep(0.002)

    def _unknown(self, waiting: Iterable[_Sent], at: int) -> deque[_Sent]:
        """What the store does not know yet; how fresh the others are is kept."""
        known = self.store.read([]).knowledge.positions
        seen = time.perf_counter_ns()
        unknown = deque[_Sent]()
        for one in waiting:
            position = known.get(one.partition)
            if position is None or position.offset <= one.offset:
                unknown.append(one)
            elif one.offset % _SAMPLED == 0:
                self._seen(one.partition[0], one.offset, (seen - one.at) // 1000, at)
        return unknown

    def _seen(self, topic: str, offset: int, latency: int, at: int) -> None:
        self._fresh.append({"topic": topic, "offset": offset, "latency_us": latency, "at": at})


def _noting(waiting: deque[_Sent], topic: str, sent: int) -> Callable[[int, int], None]:
    return lambda partition, offset: waiting.append(_Sent((topic, partition), offset, sent))


def _slices(feed: Iterable[Message], most: int) -> Iterator[list[Message]]:
    waiting: list[Message] = []
    for item in feed:
        waiting.append(item)
        if len(waiting) == most:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _groups(events: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    for event in events:
        group.append(event)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
