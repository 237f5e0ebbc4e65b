"""What a router tells which shard, what it keeps, and that all who own a partition tell one story."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR, MINUTE
from sluice.engine.shards import Spread
from sluice.engine.shares import shard_of
from sluice.engine.store import LostPartition, MemoryStore, Position
from sluice.errors import DataError
from sluice.stream.memory import MemoryRecord, MemoryTopics
from sluice.stream.owned import EPOCH
from sluice.stream.parcels import Parcel, read_parcel
from sluice.stream.router import Routed, Router
from sluice.stream.uncounted import Uncounted
from tests.sluice.stream import payments, refunds
from tests.sluice.stream.feeds import START

pytestmark = pytest.mark.unit

PAID, TOLD, REFUNDED = "refunds.payments", "payments.disputes", "refunds.refunds"
SPREAD = Spread(4, 64)
"""So many shards that no two entities of these tests share one."""
LIMIT = 420
"""Bytes of a parcel with room for one event."""
HERE = 2
"""A partition of events 5 and 6, and not of 4."""
OWN = {"channel": "pos", "country": None, "bank": None}


class World:
    """A router, the records that it was given, and what it has told."""

    def __init__(self, pipeline: Any = refunds.pipeline) -> None:
        self.pipeline, self.store, self.told = pipeline, MemoryStore(), MemoryTopics()
        self.router = self.owner()
        self.given = {topic: 0 for topic, _ in self.router.sources}
        self.now = START

    def owner(self, **how: Any) -> Router:
        return Router(self.pipeline, self.store, self.told, SPREAD, HERE, **how)

    def record(self, stream: str, revision: int = 0, op: bytes = b"put", **row: Any) -> MemoryRecord:
        topic = f"{self.pipeline.name}.{stream}"
        self.given[topic] += 1
        headers = [("_revision", str(revision).encode()), ("_op", op)]
        return MemoryRecord(topic, HERE, self.given[topic] - 1, self.now // 1000, orjson.dumps(row), headers)

    def paid(self, number: int = 5, revision: int = 0, op: bytes = b"put", **changes: Any) -> MemoryRecord:
        row = {"payment_id": number, "paid_at": rfc3339(START), "card": 1, "shop": "a", "amount": 1, **OWN, **changes}
        return self.record("payments", revision, op, **row)

    def refunded(self, number: int = 5, line: str = "0", **changes: Any) -> MemoryRecord:
        row = {"payment_id": number, "line": line, "refunded_at": rfc3339(START + MINUTE), "is_fraud": 1, "bank": None}
        return self.record("refunds", **row | changes)

    def take(self, *records: MemoryRecord) -> dict[int, list[tuple[str, Any]]]:
        """Route a batch; of each shard that was told of events, these by stream and id."""
        before = len(self.parcels)
        self.router.take(records)
        fresh = self.parcels[before:]
        assert [shard for shard, _ in fresh] == list(range(SPREAD.shards)), "every shard hears of every batch"
        return {shard: events(parcel) for shard, parcel in fresh if parcel.events}

    @property
    def parcels(self) -> list[tuple[int, Parcel]]:
        return [
            (one.partition, read_parcel(one.value))
            for one in self.told.records.get(f"{self.pipeline.name}.by_entity", [])
        ]

    @property
    def kept(self) -> set[tuple[str, Any, int]]:
        return {(fact.stream, fact.id, fact.revision) for fact in self.store.facts([4, 5, 6])}


def events(parcel: Parcel) -> list[tuple[str, Any]]:
    return [(stream, identity) for stream, columns in parcel.events.items() for identity in columns["_id"]]


def shards(*keys: int | str) -> set[int]:
    return {shard_of(key, SPREAD.shards) for key in keys}


def test_an_event_goes_to_the_shards_of_its_entities_and_all_hear_how_far_the_router_is() -> None:
    world = World()
    assert world.take(world.paid()) == {shard: [("payments", 5)] for shard in shards(1, "a")}
    moved = world.parcels[0][1].moved[PAID, HERE]
    assert (moved.before, moved.after) == (0, Position(1, START))
    assert {parcel.moved[PAID, HERE] for _, parcel in world.parcels} == {moved}


def test_a_refused_record_and_a_known_version_go_nowhere_but_move_on() -> None:
    world = World()
    first = world.paid()
    world.take(first)
    assert world.take(world.paid(amount=-1), world.paid()) == {}
    assert world.parcels[-1][1].moved[PAID, HERE].after == Position(3, START)
    assert world.router.routed.uncounted == Uncounted({"range": 1})


def test_records_that_were_routed_are_left_out() -> None:
    world = World()
    first = world.paid()
    world.take(first)
    world.router.take([first])
    assert len(world.parcels) == SPREAD.shards


def test_a_correction_goes_to_the_former_entities_too_and_the_new_ones_hear_all_that_is_kept() -> None:
    world = World()
    world.take(world.paid(), world.refunded())
    found = world.take(world.paid(card=2, revision=1))
    old, new = [("payments", 5)], [("payments", 5), ("payments", 5), ("refunds", "1:5|1:0")]
    assert {shard: sorted(told) for shard, told in found.items()} == {
        **dict.fromkeys(shards(1, "a"), old),
        **dict.fromkeys(shards(2), new),
    }


def test_a_bare_deletion_goes_wherever_the_event_was() -> None:
    world = World()
    world.take(world.paid(), world.paid(card=2, revision=1))
    bare = world.record("payments", 2, b"delete", payment_id=5, paid_at=rfc3339(START))
    assert set(world.take(bare)) == shards(1, 2, "a")


def test_what_is_told_before_its_event_waits_is_counted_and_goes_with_it() -> None:
    world = World()
    assert world.take(world.refunded()) == {}
    assert world.router.routed == Routed(events=1, fresh=1, waiting=1)
    found = world.take(world.paid())
    both = [("payments", 5), ("refunds", "1:5|1:0")]
    assert {shard: sorted(told) for shard, told in found.items()} == dict.fromkeys(shards(1, "a"), both)
    assert world.router.routed == Routed(events=2, fresh=2, waiting=1)


def test_what_is_told_of_an_entity_of_its_own_takes_its_event_there() -> None:
    world = World()
    assert set(world.take(world.refunded(bank="x"))) == shards("x")
    assert set(world.take(world.paid())) == shards("x", 1, "a")


def test_what_may_speak_of_another_event_later_goes_to_all_shards_and_is_not_kept() -> None:
    world = World(payments.pipeline)
    told = {"dispute_id": 9, "disputed_at": rfc3339(START), "payment_id": 5, "is_fraud": 1, "bank": None}
    found = world.take(world.record("disputes", **told))
    assert found == {shard: [("disputes", 9)] for shard in range(SPREAD.shards)}
    assert (world.kept, world.router.routed) == (set(), Routed(events=1))


def test_the_next_owner_sends_the_last_batch_again_byte_for_byte() -> None:
    world = World()
    world.take(world.paid())
    world.take(world.paid(number=6), world.refunded())
    sent = [record.value for record in world.told.records["refunds.by_entity"]]
    world.owner()
    assert [record.value for record in world.told.records["refunds.by_entity"]] == sent + sent[SPREAD.shards :]


def test_a_former_owner_loses_and_tells_nothing() -> None:
    world = World()
    former = world.router
    world.router = world.owner()
    world.take(world.paid())
    kept, told = world.kept, len(world.parcels)
    with pytest.raises(LostPartition, match=r"refunds\.payments"):
        former.take([world.paid(number=6)])
    with pytest.raises(LostPartition):
        former.check()
    world.router.check()
    assert (world.kept, len(world.parcels)) == (kept, told)


def test_an_owner_of_before_a_base_loses_to_it_though_it_had_read_nothing_and_another_has_claimed_the_store() -> None:
    world = World()
    former = world.router
    world.store.load(7, [(*EPOCH, None, b"seven")], [])
    world.router = world.owner()
    with pytest.raises(LostPartition, match="claim"):
        former.take([world.paid()])
    assert (world.kept, world.store.positions.keys()) == (set(), {("#claim.seven", HERE)})
    world.router.check()


def test_what_is_too_large_for_one_record_is_told_in_several_batches() -> None:
    world = World()
    world.router = world.owner(largest=LIMIT)
    world.router.take([world.paid(number=5 + part % 2, amount=part) for part in range(4)])
    numbers = [parcel.moved[PAID, HERE].after.offset for _, parcel in world.parcels]
    assert numbers == [number for number in (1, 2, 3, 4) for _ in range(SPREAD.shards)]
    with pytest.raises(DataError, match="has more than 420 bytes"):
        world.router.take([world.paid(card=9, revision=1)])


def test_an_event_that_lies_in_another_partition_than_its_key_is_named_once_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    with caplog.at_level(logging.WARNING):
        world.take(world.paid(number=4))
        world.take(world.paid(number=4, revision=1), world.paid(number=5))
    assert world.router.routed.misplaced == 2
    assert [record.getMessage().partition("\n")[0] for record in caplog.records] == [
        "refunds.payments/2: event 4 of payments lies here, and its key would be in partition 1"
    ]


def test_facts_go_once_no_event_that_counts_can_need_them() -> None:
    world = World()
    world.take(world.paid(), world.refunded(number=6))
    world.now = START + 70 * HOUR
    world.take(world.paid(number=6, paid_at=rfc3339(world.now)))
    world.router._owned.forget(world.pipeline, world.now, world.router.sources)
    # what was told of event 6 is as old as event 5
    assert world.kept == {("payments", 6, 0)}


def test_counts_of_several_routers_add_up() -> None:
    parts: Sequence[Routed] = [
        Routed(1, 2, 3, 4, Uncounted({"json": 1}, {"spend": 1})),
        Routed(10, 20, 30, 40, Uncounted({"json": 2, "range": 3})),
    ]
    assert sum(parts, Routed()) == Routed(11, 22, 33, 44, Uncounted({"json": 3, "range": 3}, {"spend": 1}))


@pytest.mark.parametrize("read", [0, 1])
def test_an_owner_that_was_overtaken_in_one_stream_routes_nothing_of_another(read: int) -> None:
    """What it tells is computed beside what it knows of all streams: no label may wait for an event that is there."""
    world = World()
    world.router.take([world.paid(4)][:read])
    overtaken = world.owner()
    world.take(world.paid(5))
    before = len(world.parcels)

    with pytest.raises(LostPartition, match=PAID):
        overtaken.take([world.refunded(5)])

    assert len(world.parcels) == before
    world.router = world.owner()
    assert world.take(world.refunded(5)).keys() == shards(1, "a")
