"""Records to tiles: what a micro-batch holds, and that every cut of the topics leaves the same store behind."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.engine.forget import forget_expired
from sluice.engine.sqlite import SqliteStore
from sluice.engine.store import LostPartition, MemoryStore, Position
from sluice.lake.contract import check
from sluice.stream.fold import FoldConsumer, micro_batch
from sluice.stream.memory import MemoryRecord, MemoryTopics
from sluice.stream.records import bronze_rows
from tests.sluice.engine.stores import contents
from tests.sluice.stream.feeds import START, Message, feed, send
from tests.sluice.stream.payments import payments, pipeline
from tests.sluice.stream.reference import answered, computed, history, questions

pytestmark = pytest.mark.unit

TOPIC, TOLD = "payments.payments", "payments.disputes"
FIRST = START // 1_000_000
CUTS = ("at once", "small", "uneven")


@dataclass(frozen=True)
class Told:
    """What producers sent, and where it is."""

    messages: list[Message]
    topics: MemoryTopics


def paid(offset: int, second: int, *, amount: float = 1, topic: str = TOPIC, partition: int = 0) -> MemoryRecord:
    """A payment made some seconds after the start."""
    row = {"payment_id": offset, "paid_at": f"2024-02-03T00:00:{second:02}Z", "card": 1, "shop": "a", "amount": amount}
    payload = orjson.dumps({**row, "channel": "pos"})
    return MemoryRecord(topic, partition, offset, (FIRST + second) * 1000, payload)


def watermarks(records: list[MemoryRecord], held: Position | None = None) -> list[int | None]:
    """The watermark each accepted payment was met with, in seconds after the start."""
    batch = micro_batch(pipeline, records, {(TOPIC, 0): held} if held else {})
    marks = batch.events["payments"].column("_watermark").to_pylist()
    return [None if mark is None else mark // 1_000_000 - FIRST for mark in marks]


def test_an_event_meets_the_greatest_time_before_it() -> None:
    assert watermarks([paid(0, 10), paid(1, 5), paid(2, 20), paid(3, 20)]) == [None, 10, 10, 20]


def test_the_watermark_goes_on_from_the_stored_position() -> None:
    held = Position(7, START + 12_000_000)

    assert watermarks([paid(7, 10), paid(8, 15), paid(9, 1)], held) == [12, 12, 15]


def test_a_refused_event_moves_the_position_and_not_the_watermark() -> None:
    refused = paid(1, 50, amount=-1)

    batch = micro_batch(pipeline, [paid(0, 10), refused, paid(2, 11), paid(3, 12, amount=-1)], {})

    assert batch.events["payments"].column("_id").to_pylist() == [0, 2]
    assert batch.positions == {(TOPIC, 0): Position(4, START + 11_000_000)}


def test_a_batch_of_refused_events_only_moves_on() -> None:
    batch = micro_batch(pipeline, [MemoryRecord(TOPIC, 0, 5, 0, b"{")], {(TOPIC, 0): Position(5, 77)})

    assert len(batch.events["payments"]) == 0
    assert batch.positions == {(TOPIC, 0): Position(6, 77)}


def test_partitions_have_their_own_positions_and_watermarks() -> None:
    records = [paid(0, 30), paid(0, 10, partition=1), paid(1, 20), paid(1, 40, partition=1)]

    batch = micro_batch(pipeline, records, {(TOPIC, 1): Position(0, START)})

    seen = zip(*(batch.events["payments"].column(name).to_pylist() for name in ("_time", "_watermark")), strict=True)
    assert sorted(((time - START) // 10**6, mark and (mark - START) // 10**6) for time, mark in seen) == [
        (10, 0),
        (20, 30),
        (30, None),
        (40, 10),
    ]
    assert batch.expected == {(TOPIC, 0): None, (TOPIC, 1): 0}
    assert {place: at.offset for place, at in batch.positions.items()} == {(TOPIC, 0): 2, (TOPIC, 1): 2}


def test_records_that_the_position_covers_are_left_out() -> None:
    batch = micro_batch(pipeline, [paid(3, 1), paid(4, 2), paid(5, 3)], {(TOPIC, 0): Position(5, None)})

    assert batch.events["payments"].column("_id").to_pylist() == [5]
    assert batch.expected == {(TOPIC, 0): 5}


def test_records_that_are_all_covered_change_nothing() -> None:
    batch = micro_batch(pipeline, [paid(3, 1)], {(TOPIC, 0): Position(5, None)})

    assert (dict(batch.events), batch.expected, batch.positions) == ({}, {}, {})


def test_the_contract_of_the_lake_decides_what_enters() -> None:
    topics = MemoryTopics()
    send(pipeline, topics, feed(seed=3, size=300))
    records = topics.records[TOPIC]

    found = micro_batch(pipeline, records, {}).events["payments"]

    checked = check(payments, bronze_rows(records, batch="b"), batch="b")
    assert found.column("_hash").to_pylist() == checked.accepted.column("_hash").to_pylist()
    assert set(checked.rejected.column("rule").to_pylist()) == {"json", "type", "missing", "range"}


@pytest.fixture(scope="module")
def told() -> Told:
    """A feed and the topics it was produced to."""
    messages, topics = feed(seed=11, size=400), MemoryTopics()
    send(pipeline, topics, messages)
    return Told(messages, topics)


@pytest.fixture(scope="module")
def stores(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, SqliteStore]]:
    """Cut → the store into which the topics were folded in batches cut so."""
    folder = tmp_path_factory.mktemp("stores")
    found = {cut: SqliteStore(folder / f"{cut}.db") for cut in CUTS}
    for cut, store in found.items():
        consumer, positions = FoldConsumer(pipeline, store, bootstrap=""), {}
        for batch in _cut(told.topics, cut):
            positions = consumer.fold(batch, positions)
    yield found
    for store in found.values():
        store.close()


@pytest.mark.parametrize("cut", CUTS)
def test_every_cut_of_the_topics_gives_the_values_of_the_batch_kernel(
    cut: str, told: Told, stores: dict[str, SqliteStore]
) -> None:
    asked = questions(told.messages, seed=1, size=80)

    assert answered(pipeline, stores[cut], asked) == computed(pipeline, history(pipeline, told.topics.records), asked)


def test_every_cut_of_the_topics_leaves_the_same_store(stores: dict[str, SqliteStore]) -> None:
    found = [contents(stores[cut]) for cut in CUTS]

    assert found[0] == found[1] == found[2]
    assert len(found[0].heads) > 25


def test_what_is_forgotten_is_missed_by_no_request_within_the_horizon(tmp_path: Path) -> None:
    messages = feed(seed=13, size=1_000)
    topics = MemoryTopics()
    send(pipeline, topics, messages)
    asked = [{**row, "paid_at": rfc3339(messages[-1].at - HOUR)} for row in questions(messages, 2, 80)]
    expected = computed(pipeline, history(pipeline, topics.records), asked)
    sizes = []
    for forgetful in (False, True):
        store = SqliteStore(tmp_path / f"{forgetful}.db")
        consumer, positions = FoldConsumer(pipeline, store, bootstrap=""), {}
        for batch in _cut(topics, "uneven"):
            positions = consumer.fold(batch, positions)
            if forgetful:
                watermarks = [at.watermark for at in positions.values() if at.watermark is not None]
                forget_expired(pipeline, store, min(watermarks, default=START))
        held = contents(store)
        sizes.append((sum(map(len, held.heads.values())), len(held.facts)))
        assert answered(pipeline, store, asked) == expected
        store.close()

    assert sizes[1][0] < sizes[0][0]
    assert sizes[1][1] < sizes[0][1]


def test_a_batch_that_another_consumer_has_folded_is_lost_whole() -> None:
    store = MemoryStore()
    first = FoldConsumer(pipeline, store, bootstrap="")
    first.fold([paid(0, 1)], {})

    with pytest.raises(LostPartition, match=r"payments\.payments"):
        first.fold([paid(0, 1), paid(1, 2)], {})

    assert store.positions == {(TOPIC, 0): Position(1, START + 1_000_000)}


@pytest.mark.parametrize("begun", [0, 1])
def test_a_batch_is_lost_when_another_partition_has_moved_on_than_those_of_the_batch(begun: int) -> None:
    """What it changes was computed beside what the other partition had brought by then."""
    store, sources = MemoryStore(), [(TOPIC, 0), (TOPIC, 1)]
    paused, other = (FoldConsumer(pipeline, store, bootstrap="") for _ in range(2))
    known = other.fold([paid(number, 1, partition=1) for number in range(begun)], {}, sources)
    other.fold([paid(begun, 2, partition=1)], known, sources)
    before = dict(store.positions)

    with pytest.raises(LostPartition, match=r"payments\.payments"):
        paused.fold([paid(0, 9)], known, sources)

    assert store.positions == before


def _cut(topics: MemoryTopics, how: str) -> list[list[MemoryRecord]]:
    """The records of both topics in batches, each topic in its order; together as polls give them."""
    chance = random.Random(how)
    most = {"at once": 10**6, "small": 16, "uneven": 200}[how]
    waiting = {name: list(records) for name, records in topics.records.items()}
    batches = []
    while any(waiting.values()):
        batch: list[MemoryRecord] = []
        for records in waiting.values():
            size = most if how != "uneven" else chance.randrange(most)
            batch += [records.pop(0) for _ in range(min(size, len(records)))]
        batches.append(batch)
    return batches
