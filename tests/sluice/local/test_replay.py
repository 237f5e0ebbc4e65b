"""The replay driver: it asks, then produces, waits for the fold, moves the clock, and keeps what it saw."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from typing import Any

import orjson
import pytest

from sluice.clock import FileClock, rfc3339
from sluice.engine.store import MemoryStore
from sluice.errors import Outage
from sluice.lake.tables import Lake
from sluice.local.messages import Message
from sluice.local.replay import FRESHNESS, REQUESTS, Replay
from sluice.stream.fold import FoldConsumer
from sluice.stream.memory import MemoryTopics
from tests.sluice.stream.feeds import START
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

SECOND = 1_000_000
TOPIC = "payments.payments"


def paid(number: int) -> Message:
    """The n-th payment, n seconds after the start."""
    row = {"payment_id": number, "paid_at": rfc3339(START + number * SECOND), "card": number % 3, "shop": "a"}
    return Message("payments", START + number * SECOND, orjson.dumps({**row, "amount": 1, "channel": "pos"}), number)


@dataclass
class Folding(MemoryTopics):
    """Topics whose records are folded a moment after they were produced, as another process would."""

    store: MemoryStore = field(default_factory=MemoryStore)
    delay_s: float | None = 0.0
    """None: never."""

    def flush(self) -> None:
        if self.delay_s is not None:
            threading.Timer(self.delay_s, self._fold).start()

    def _fold(self) -> None:
        records = [record for held in self.records.values() for record in held]
        FoldConsumer(pipeline, self.store, bootstrap="").fold(records, self.store.positions)


@dataclass
class Service:
    """A scoring service that refuses some ids, drops the connection for others, and notes what was known when."""

    store: MemoryStore
    refused: frozenset[int] = frozenset()
    dropped: frozenset[int] = frozenset()
    asked: list[list[dict[str, Any]]] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    clock: FileClock | None = None

    def answer(self, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]] | None:
        self.asked.append(events)
        self.known.append(sum(at.offset for at in self.store.positions.values()))
        self.times.append(self.clock.now() if self.clock else 0)
        ids = [event["payment_id"] for event in events]
        if self.dropped & set(ids):
            return None
        errors = [{"index": index, "rule": "range"} for index, id_ in enumerate(ids) if id_ in self.refused]
        return (422, {"errors": errors}) if errors else (200, {"request_id": f"r{len(self.asked)}", "results": []})

    @contextmanager
    def listening(self) -> Iterator[str]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
                found = service.answer(body["events"])
                if found is None:
                    self.connection.close()
                    return
                reply = orjson.dumps(found[1])
                self.send_response(found[0])
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Scene:
    """Everything around a replay."""

    lake: Lake
    clock: FileClock
    topics: Folding
    service: Service
    url: str

    def replay(self, **options: Any) -> Replay:
        given = {"share": 1.0, "together": 3, "slice": 10, "patience_s": 30.0, **options}
        return Replay(pipeline, self.lake, self.topics.store, self.clock, self.topics, self.url, **given)

    @property
    def asked_ids(self) -> list[list[int]]:
        return [[event["payment_id"] for event in events] for events in self.service.asked]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    topics, clock = Folding(), FileClock(tmp_path / "clock")
    service = Service(topics.store, clock=clock)
    with service.listening() as url:
        yield Scene(Lake(str(tmp_path / "lake"), pipeline.name), clock, topics, service, url)


def test_every_slice_is_asked_about_before_it_is_produced_and_after_the_last_was_folded(scene: Scene) -> None:
    scene.topics.delay_s = 0.05

    scene.replay(together=4).run(map(paid, range(25)))

    assert scene.asked_ids[:3] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert scene.service.known == [0, 0, 0, 10, 10, 10, 20, 20]
    assert [record.offset for record in scene.topics.records[TOPIC]] == list(range(25))


def test_the_clock_stands_at_the_end_of_the_slice_that_is_asked_about(scene: Scene) -> None:
    scene.replay(together=10).run(map(paid, range(20)))

    assert scene.service.times == [START + 9 * SECOND, START + 19 * SECOND]
    assert scene.clock.now() == START + 19 * SECOND


@dataclass
class Pauses:
    """A signal that is never set, and remembers how long it was waited for."""

    seconds: list[float] = field(default_factory=list)

    def wait(self, timeout: float) -> bool:
        self.seconds.append(timeout)
        return False


def test_a_paced_replay_pauses_before_each_request(scene: Scene) -> None:
    pauses = Pauses()
    scene.replay(together=1, pace_s=0.25, hurry=pauses).run(map(paid, range(10)))

    assert pauses.seconds == [0.25] * 10
    assert scene.asked_ids == [[number] for number in range(10)]


def test_records_carry_their_arrival(scene: Scene) -> None:
    scene.replay().run([paid(3)])

    record = scene.topics.records[TOPIC][0]
    assert (record.timestamp, record.value) == ((START + 3 * SECOND) // 1000, paid(3).payload)


def test_a_request_has_the_declared_columns(scene: Scene) -> None:
    scene.replay().run([paid(1)])

    assert scene.service.asked == [
        [
            {
                "payment_id": 1,
                "paid_at": "2024-02-03T00:00:01Z",
                "card": 1,
                "shop": "a",
                "bank": None,
                "amount": 1,
                "channel": "pos",
                "country": None,
            }
        ]
    ]


def test_only_the_scored_stream_and_what_can_be_read_is_asked_about(scene: Scene) -> None:
    dispute = b'{"dispute_id": 1, "disputed_at": "2024-02-03", "payment_id": 0, "is_fraud": 1}'
    feed = [
        paid(0),
        Message("disputes", START + SECOND, dispute, 1),
        Message("payments", START + SECOND, b'{"pay', None),
    ]

    scene.replay().run(feed)

    assert scene.asked_ids == [[0]]
    assert [len(records) for records in scene.topics.records.values()] == [2, 1]


def test_a_share_of_the_feed_is_always_the_same_events(scene: Scene) -> None:
    scene.replay(share=0.4, slice=50).run(map(paid, range(200)))
    first = list(chain.from_iterable(scene.asked_ids))
    scene.service.asked.clear()
    scene.replay(share=0.4, slice=30).run(map(paid, range(200)))

    assert list(chain.from_iterable(scene.asked_ids)) == first
    assert 50 < len(first) < 110


def test_the_others_of_a_refused_request_are_asked_about_again(scene: Scene) -> None:
    scene.service.refused = frozenset({1})

    scene.replay().run(map(paid, range(3)))

    assert scene.asked_ids == [[0, 1, 2], [0, 2]]
    seen = scene.lake.rows("requests")
    assert [(row["status"], row["events"], row["request_id"]) for row in seen] == [(422, 3, None), (200, 2, "r2")]
    assert "range" in seen[0]["problem"]


def test_a_request_of_which_nothing_is_left_is_not_asked_again(scene: Scene) -> None:
    scene.service.refused = frozenset({0})

    scene.replay().run([paid(0)])

    assert scene.asked_ids == [[0]]


def test_a_connection_that_failed_is_kept_and_the_replay_goes_on(scene: Scene) -> None:
    scene.service.dropped = frozenset({0})

    scene.replay(together=1).run(map(paid, range(2)))

    assert [(row["status"], bool(row["problem"])) for row in scene.lake.rows("requests")] == [(0, True), (200, False)]


def test_what_was_seen_is_in_the_lake(scene: Scene) -> None:
    scene.replay(slice=30).run(map(paid, range(50)))

    requests, fresh = scene.lake.read("requests"), scene.lake.read("freshness").sort_by("offset")
    assert (requests.schema.names, fresh.schema.names) == (REQUESTS.names, FRESHNESS.names)
    assert set(requests.column("at").to_pylist()) == {START + 29 * SECOND, START + 49 * SECOND}
    assert all(latency > 0 for latency in requests.column("latency_us").to_pylist())
    assert fresh.column("offset").to_pylist() == [0, 20, 40]
    assert set(fresh.column("topic").to_pylist()) == {TOPIC}
    assert fresh.column("at").to_pylist() == [START + 29 * SECOND, START + 29 * SECOND, START + 49 * SECOND]


def test_freshness_is_from_the_produce_call_to_the_first_read_that_knows_the_event(scene: Scene) -> None:
    scene.topics.delay_s = 0.05

    scene.replay().run([paid(0)])

    assert scene.lake.rows("freshness")[0]["latency_us"] >= 50_000


def test_a_fold_that_does_not_come_is_an_outage_and_what_was_seen_is_kept(scene: Scene) -> None:
    scene.topics.delay_s = None

    with pytest.raises(Outage, match=rf"has not taken in offset 0 of {TOPIC} for 0\.05 s"):
        scene.replay(patience_s=0.05).run(map(paid, range(3)))

    assert scene.lake.count("requests") == 1
