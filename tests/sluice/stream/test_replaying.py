"""Refused events go back through their topic, each once, whatever dies in between; the online store learns of them."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from sluice.declare.durations import MINUTE
from sluice.lake.delivery import Delivery
from sluice.lake.refused import Wanted, refused
from sluice.lake.repairs import Repair, controlled, mended
from sluice.lake.replays import Replay, claim, finish, unfinished
from sluice.lake.workers import Here
from sluice.stream.producer import Producer
from sluice.stream.replaying import ends_of, send_again
from sluice.stream.topics import stream_topic
from spark_jobs.ingest import ingest
from tests.doctor import ailments
from tests.sluice.stream.feeds import START, Message, feed
from tests.sluice.stream.runs import archived, folded, produced, wait_for
from tests.sluice.stream.runs import finish as finished
from tests.sluice.stream.workers import Place

pytestmark = pytest.mark.integration

LATER = START + 10**12


class Killed(BaseException):
    """The process is no more."""


class Mortal:
    """A producer whose process dies before it has sent everything."""

    def __init__(self, producer: Producer, left: int) -> None:
        self.producer, self.left = producer, left

    def send(self, topic: str, payload: bytes, **how: Any) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1
        self.producer.send(topic, payload, **how)

    def flush(self) -> None:
        self.producer.flush()


def wrong(count: int) -> list[Message]:
    """Payments of a negative amount."""
    row = {"paid_at": "2024-02-03T00:00:00Z", "card": 1, "shop": "a", "amount": -1, "channel": "pos"}
    payloads = [orjson.dumps({"payment_id": 10**6 + number, **row}) for number in range(count)]
    return [Message("payments", payload, START + MINUTE) for payload in payloads]


def judged(place: Place, batch: str) -> None:
    """What was archived becomes history."""
    ingest(Here(), Delivery(str(place.file), str(place.folder / "lake"), batch, LATER, from_bronze=True))


def claimed(place: Place) -> Replay:
    """All payments that were refused for their amount, with another one."""
    stream = place.pipeline.stream("payments")
    rows = controlled(place.lake, "payments", refused(place.lake, "payments", Wanted(rule="range")))
    picked = mended(stream, rows, Repair({"amount": 12}), None, {})
    ends = ends_of(place.bootstrap, stream_topic(place.pipeline.name, "payments"))
    return claim(place.lake, "payments", picked, by="Ada", because="a wrong sign", at=LATER, ends=ends)


def test_a_replay_that_dies_at_any_record_sends_each_once(place: Place, lone_seed: int) -> None:
    topics = produced(place, [*feed(lone_seed, 500), *wrong(10)])
    total = sum(map(len, topics.records.values()))
    finished(place, "archive", lambda: archived(place) == total)
    judged(place, "first")
    replay = claimed(place)
    count = len(replay.rows)
    assert count >= 10

    with Producer(place.bootstrap) as producer:
        with pytest.raises(Killed):
            send_again(
                place.bootstrap,
                Mortal(producer, random.Random(lone_seed).randrange(1, count)),
                place.pipeline,
                replay,
                LATER,
            )
        producer.flush()
        assert [one.name for one in unfinished(place.lake)] == [replay.name]
        places = send_again(place.bootstrap, producer, place.pipeline, replay, LATER)
        assert send_again(place.bootstrap, producer, place.pipeline, replay, LATER) == places
    finish(place.lake, replay, places)

    finished(place, "archive", lambda: archived(place) == total + count)
    judged(place, "second")
    states = [row.state for row in refused(place.lake, "payments", Wanted(rule="range"))]
    assert states == ["back"] * count
    back = [row for row in place.lake.rows("silver/payments") if row["_batch"] == "second"]
    assert len(back) + sum(batch["duplicates"] for batch in place.lake.published("payments")[1:]) == count
    assert {row["_known"] for row in back} == {LATER // 1000 * 1000}
    assert ailments(place.lake, place.pipeline) == []
    with place.worker("fold"):
        wait_for(lambda: folded(place) == total + count)


def test_a_record_says_which_row_of_which_replay_it_is(place: Place) -> None:
    produced(place, wrong(10))
    finished(place, "archive", lambda: archived(place) == 10)
    judged(place, "first")
    replay = claimed(place)
    with Producer(place.bootstrap) as producer:
        send_again(place.bootstrap, producer, place.pipeline, replay, LATER)
    finished(place, "archive", lambda: archived(place) == 20)
    payloads = place.lake.read("events/payments").sort_by("position").column("payload").to_pylist()
    assert [orjson.loads(payload)["amount"] for payload in payloads[-len(replay.rows) :]] == [12] * len(replay.rows)
