"""What was forgotten stays away from folds, routers, shards and archives, and nothing that they do brings it back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from sluice.declare.loading import load_pipeline
from sluice.engine.encode import integers
from sluice.engine.places import open_store
from sluice.engine.shards import Spread, remember
from sluice.engine.store import FENCE, MemoryStore, Overtaken, Position
from sluice.engine.versions import PUT
from sluice.lake.contract import ERASED
from sluice.lake.forgetting.erasers import Entity
from sluice.lake.forgetting.forget import Online
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.pseudonyms import pseudonyms_of
from sluice.lake.schemas import MemoryRegistry, Schemas
from sluice.lake.tables import Lake
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer
from sluice.stream.forgetting import forget_online
from sluice.stream.gather import ShardFold
from sluice.stream.memory import MemoryRecord, MemoryTopics
from sluice.stream.router import OUTBOX, Router
from sluice.stream.topics import entity_topic
from tests.sluice.lake.messages import avro, avro_message, for_avro, shop_in
from tests.sluice.stream.payments import pipeline
from tests.spark_jobs.deliveries import AT, order

pytestmark = pytest.mark.unit

START = 1_767_225_600_000_000
MINUTE = 60_000_000
TOPIC = "payments.payments"
NAMES = pseudonyms_of("a secret")
MINE = 777_000_111


def record(offset: int, card: int, minute: int = 0) -> MemoryRecord:
    row = {
        "payment_id": 9_000_000 + offset,
        "paid_at": f"2026-01-01T00:{minute:02}:00Z",
        "card": card,
        "shop": "a",
        "amount": 5,
        "channel": "pos",
    }
    return MemoryRecord(TOPIC, 0, offset, (START + 60 * MINUTE) // 1000, orjson.dumps(row))


RECORDS = [record(offset, MINE if offset % 2 else 5, offset) for offset in range(8)]


def forgotten(until: int = START + 60 * MINUTE) -> Forgotten:
    return Forgotten(NAMES, {("card", NAMES.of("card", MINE)): until}, erasures=1)


def online(until: int = START + 60 * MINUTE) -> Online:
    from sluice.engine.facts import encoded_schema

    nothing = {stream.name: encoded_schema(stream).empty_table() for stream in pipeline.streams}
    return Online(Entity("card", MINE, until), forgotten(until), nothing)


def tiles(store: MemoryStore) -> dict[object, bytes]:
    return {name: head for name, head in store._heads.items() if not name[0].startswith("#")}


def plain(records: Sequence[MemoryRecord]) -> MemoryStore:
    store = MemoryStore()
    FoldConsumer(pipeline, store, "").fold(records, {})
    return store


def test_a_fold_leaves_out_what_was_forgotten_and_takes_in_what_came_after() -> None:
    store = MemoryStore()
    FoldConsumer(pipeline, store, "", remembers=lambda: forgotten(START + 3 * MINUTE)).fold(RECORDS, {})
    assert tiles(store) == tiles(plain([one for one in RECORDS if one.offset not in {1, 3}]))
    assert store.positions[TOPIC, 0].offset == 8


def test_a_fold_that_runs_meanwhile_is_told_to_look_again_and_goes_on_without_it() -> None:
    store, known = MemoryStore(), [Forgotten()]
    fold = FoldConsumer(pipeline, store, "", remembers=lambda: known[0])
    positions = fold.fold(RECORDS[:4], {}, {(TOPIC, 0), FENCE})
    known[0] = forgotten()
    forget_online(pipeline, lambda _: store, online())
    with pytest.raises(Overtaken):
        fold.fold(RECORDS[4:], positions, {(TOPIC, 0), FENCE})
    again = fold._as_stored(store.read([]).knowledge, lambda: False)
    fold.fold(RECORDS[4:], again.positions, {(TOPIC, 0), FENCE})
    assert tiles(store) == tiles(plain([one for one in RECORDS if one.offset % 2 == 0]))


def test_routers_shards_and_parcels_between_them_forget(tmp_path: Path) -> None:
    """One router of one partition, two shards: what the router has sent before comes to the shards afterwards."""
    spread, topics, uri = Spread(1, 2), MemoryTopics(), f"memory://{tmp_path}"
    remember(open_store(uri, pipeline.name), spread)
    stores = [open_store(uri, spread.shard(pipeline.name, number)) for number in range(2)]
    routing = open_store(uri, spread.router(pipeline.name, 0))

    def shards(remembers: Forgotten) -> list[ShardFold]:
        return [
            ShardFold(pipeline, store, spread, number, remembers=lambda: remembers)
            for number, store in enumerate(stores)
        ]

    def parcels(number: int) -> list[MemoryRecord]:
        return [one for one in topics.records[entity_topic(pipeline.name)] if one.partition == number]

    Router(pipeline, routing, topics, spread, 0).take(RECORDS[:4])
    for number, shard in enumerate(shards(Forgotten())):
        shard.take(parcels(number))
    stale = Router(pipeline, routing, topics, spread, 0)
    stale.take(RECORDS[4:6])
    assert any(b"777000111" in (one.value or b"") for one in topics.records[entity_topic(pipeline.name)])

    forget_online(pipeline, lambda name: open_store(uri, name), online())
    with pytest.raises(Overtaken):
        stale.take(RECORDS[6:])
    outbox = [body for body in routing.read([(OUTBOX, number) for number in range(2)]).heads if body is not None]
    assert outbox
    assert not any(b"777000111" in body for body in outbox)

    Router(pipeline, routing, topics, spread, 0, remembers=forgotten).take(RECORDS[6:])
    for number, shard in enumerate(shards(forgotten())):
        shard.take(parcels(number))
    found = tiles(stores[0]) | tiles(stores[1])  # type: ignore[arg-type]
    assert found == tiles(plain([one for one in RECORDS if one.offset % 2 == 0]))


def test_an_archive_leaves_a_place_of_what_was_forgotten(tmp_path: Path) -> None:
    lake, known = Lake(str(tmp_path), pipeline.name), [Forgotten()]
    archive = Archive(pipeline, lake, "", remembers=lambda: known[0])
    archive.write(RECORDS[:2])
    known[0] = forgotten()
    torn = MemoryRecord(TOPIC, 0, 8, START // 1000, b'{"card": 777000111, "payment_id"')
    archive.write([*RECORDS[2:], torn])
    rows = lake.read("events/payments").sort_by("position")
    assert integers(rows.column("position"))[0].tolist() == list(range(9))
    empty = [at for at, op in enumerate(rows.column("op").to_pylist()) if op == ERASED]
    assert empty == [3, 5, 7, 8]
    assert {rows.column("payload")[at].as_py() for at in empty} == {b""}
    times = rows.column("known").to_pylist()
    assert [times[at] for at in empty] == [START + 3 * MINUTE, START + 5 * MINUTE, START + 7 * MINUTE, None]
    assert archive._reached((TOPIC, 0)) == 8


def test_an_archive_asks_the_registry_for_a_schema_that_nobody_has_looked_up(tmp_path: Path) -> None:
    """Order n is customer c(n modulo 3)'s; nothing of the topic was judged yet."""
    shop = load_pipeline(str(shop_in("avro", tmp_path)))
    lake, mine = Lake(str(tmp_path), shop.name), ("customer", NAMES.of("customer", "c0"))
    registry = MemoryRegistry({7: avro()})
    rows = [{**order(number), "ordered_at": f"2026-01-01T10:0{number}:00+00:00"} for number in range(1, 5)]
    sent = [
        MemoryRecord("shop.orders", 0, offset, START // 1000, avro_message(7, avro(), for_avro(row)))
        for offset, row in enumerate(rows)
    ]
    Archive(
        shop,
        lake,
        "",
        remembers=lambda: Forgotten(NAMES, {mine: AT}, erasures=1),
        schemas=Schemas(lake, registry),
    ).write(sent)
    found = lake.read("events/orders").sort_by("position")
    assert found.column("op").to_pylist() == [PUT, PUT, ERASED, PUT]
    assert found.column("payload").to_pylist() == [sent[0].value, sent[1].value, b"", sent[3].value]


def test_an_archive_keeps_no_answer_about_it(tmp_path: Path) -> None:
    from sluice.stream.predictions import Prediction, encode_prediction
    from sluice.stream.topics import prediction_topic

    def answer(offset: int, card: int) -> MemoryRecord:
        made = Prediction(
            f"r{offset}", "", START, START, {"card": card}, {"card": card}, {}, "d", "pos", "m", "1", "champion", 0.5,
            "approve", degraded=False, vector=b"", latency_us=1,
        )  # fmt: skip
        return MemoryRecord(prediction_topic(pipeline.name), 0, offset, 0, encode_prediction(made))

    lake = Lake(str(tmp_path), pipeline.name)
    answers = [answer(0, MINE), answer(1, 5), MemoryRecord(prediction_topic(pipeline.name), 0, 2, 0, b"777000111 torn")]
    Archive(pipeline, lake, "", remembers=forgotten).write(answers)
    assert [row["request_id"] for row in lake.rows("predictions")] == ["r1"]
    assert lake.rows("predictions_refused") == []
    Archive(pipeline, lake, "", remembers=forgotten).write([answer(3, MINE)])
    assert lake.reached_by("predictions", f"archive:{prediction_topic(pipeline.name)}/0") == 3


def test_positions_of_the_fence_are_no_part_of_what_a_vector_knows() -> None:
    store = MemoryStore(positions={(TOPIC, 0): Position(3, None), FENCE: Position(2, None)})
    assert store.read([]).knowledge.describe() == {"base": -1, "positions": {"payments.payments/0": 3}}
