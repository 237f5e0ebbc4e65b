"""Running workers on real engines: producing, waiting, killing at random, and what there is afterwards."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

from sluice.engine.store import MemoryStore
from sluice.errors import Outage
from sluice.stream.fold import FoldConsumer
from sluice.stream.memory import MemoryTopics
from sluice.stream.predictions import KafkaLog
from sluice.stream.producer import Producer
from sluice.stream.records import bronze_rows
from sluice.stream.topics import stream_topic
from tests.doctor import ailments
from tests.sluice.engine.stores import Contents, contents
from tests.sluice.stream.feeds import Message, send
from tests.sluice.stream.test_predictions import answer
from tests.sluice.stream.workers import Kind, Place

SIZE = 5_000
KILLS = 5
PATIENCE_S = 240


def kill_at_random(place: Place, kind: Kind, total: int, chance: random.Random) -> None:
    """Kill a worker again and again, each time soon after it has come to a random point."""
    for target in sorted(chance.sample(range(1, total), KILLS)):
        with place.worker(kind) as worker:
            wait_for(lambda target=target: reached(place, kind) >= target)
            time.sleep(chance.random() * 0.1)
            worker.kill()


def produced(place: Place, messages: Sequence[Message], topics: MemoryTopics | None = None) -> MemoryTopics:
    """Produce messages to Kafka and to topics in memory, which then hold the same records."""
    twin = MemoryTopics() if topics is None else topics
    send(place.pipeline, twin, messages)
    with Producer(place.bootstrap) as producer:
        send(place.pipeline, producer, messages)
    return twin


def with_answers(place: Place, size: int) -> None:
    log = KafkaLog(place.bootstrap, place.pipeline.name)
    log.write(answer(score=index / size) for index in range(size))
    log.close()


def reached(place: Place, kind: Kind) -> int:
    """How many records a worker has dealt with."""
    return folded(place) if kind == "fold" else archived(place)


def folded(place: Place) -> int:
    """How many records a store knows; of one that is just being made, or is away, none."""
    try:
        store = place.store(read_only=True)
    except (Outage, sqlite3.OperationalError):
        return 0
    try:
        return sum(at.offset for at in store.read([]).knowledge.positions.values())
    except (Outage, sqlite3.OperationalError):
        return 0
    finally:
        store.close()


def archived(place: Place) -> int:
    tables = ["events/payments", "events/disputes", "predictions"]
    return sum(place.lake.count(table) for table in tables)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it does not come to that"
        time.sleep(0.02)


def finish(place: Place, kind: Kind, done: Callable[[], bool]) -> None:
    """Let a worker go on from where the last one ended, until it has done everything."""
    with place.worker(kind) as worker:
        wait_for(done)
        assert worker.stop() == 0


def everything(place: Place) -> tuple[Contents, list[Any]]:
    """What the workers have made, in a lake that the doctor finds nothing wrong with."""
    assert ailments(place.lake, place.pipeline) == []
    store = place.store()
    found = contents(store)
    store.close()
    return found, [bronze(place, stream.name) for stream in place.pipeline.streams]


def bronze(place: Place, stream: str) -> list[dict[str, Any]]:
    table = f"events/{stream}"
    if place.lake.open(table) is None:
        return []
    return place.lake.read(table).sort_by("position").to_pylist()


def expected(place: Place, topics: MemoryTopics) -> tuple[Contents, list[Any]]:
    """What undisturbed workers would have made: one batch of everything, and the records as they are."""
    return undisturbed(place, topics), [
        bronze_rows(topics.records[stream_topic(place.pipeline.name, stream.name)], batch="").to_pylist()
        for stream in place.pipeline.streams
    ]


def undisturbed(place: Place, topics: MemoryTopics) -> Contents:
    """What the twin in memory holds after one batch of everything."""
    store = MemoryStore()
    records = [record for held in topics.records.values() for record in held]
    FoldConsumer(place.pipeline, store, place.bootstrap).fold(records, {})
    return contents(store)
