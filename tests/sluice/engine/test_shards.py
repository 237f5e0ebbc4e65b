"""A store in several shards: who is read where, and what each knows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sluice.engine.places import open_store
from sluice.engine.shards import OWN, Shards, Spread, online_if_there, open_online, remember, spread_of
from sluice.engine.shares import shard_of
from sluice.engine.store import NOBODY, Change, Heads, Knowledge, MemoryStore, NotThere, Position
from sluice.errors import UserError

pytestmark = pytest.mark.unit

FOUR = Spread(2, 4)
KEYS = {shard_of(key, 4): key for key in range(40)}
"""A key of each shard."""
P, Q = ("fraud.payments", 0), ("fraud.payments", 1)


def shards() -> list[MemoryStore]:
    """Each holds a head and a chunk of its key, and has come as far as its number says."""
    stores = [MemoryStore(base=10 + number) for number in range(4)]
    for number, store in enumerate(stores):
        key = KEYS[number]
        positions = {P: Position(number + 1, None), (f"{OWN}parcels", number): Position(99, None)}
        heads, chunks = [("v", key, b"head %d" % number)], [("v", key, 60, b"chunk %d" % number)]
        store.apply(Change(heads=heads, chunks=chunks, positions=positions))
    return stores


def test_each_entity_is_read_from_its_shard_and_knows_what_that_knows() -> None:
    found = Shards(shards()).read([("v", KEYS[2]), ("v", None), ("v", KEYS[0]), ("w", KEYS[2])])
    assert list(found.heads) == [b"head 2", None, b"head 0", None]
    two, none = Knowledge(12, {P: Position(3, None)}), Knowledge(10, {P: Position(1, None)})
    assert list(found.each) == [two, NOBODY, none, two]
    assert found.knowledge == none


def test_chunks_are_called_for_from_heads_at_the_places_where_they_were_asked_for() -> None:
    seen = []

    def call(heads: Heads) -> Sequence[tuple[str, int, int]]:
        seen.append(list(heads))
        return [("v", KEYS[place], 60) for place, head in enumerate(heads) if head is not None]

    found = Shards(shards()).read([("v", KEYS[number]) for number in range(4)], call)
    assert found.chunks == {("v", KEYS[number], 60): b"chunk %d" % number for number in range(4)}
    assert sorted(seen, key=str) == sorted(
        [[b"head %d" % number if place == number else None for place in range(4)] for number in range(4)], key=str
    )


def test_of_nobody_all_shards_know_the_least() -> None:
    stores = shards()
    assert Shards(stores).read([]).knowledge == Knowledge(10, {P: Position(1, None)})
    stores[3].apply(Change(positions={Q: Position(5, 7)}))
    assert Shards(stores).read([]).knowledge.positions == {P: Position(1, None)}
    assert Shards(stores).read([("v", KEYS[3])]).knowledge.positions == {P: Position(4, None), Q: Position(5, 7)}


def test_how_a_store_is_divided_is_written_in_the_pipelines_own_store() -> None:
    store = MemoryStore()
    assert (spread_of(store), spread_of(store).whole) == (Spread(1, 1), True)
    remember(store, Spread(1, 1))
    assert store == MemoryStore()
    remember(store, FOUR)
    remember(store, FOUR)
    assert (spread_of(store), FOUR.whole) == (FOUR, False)
    with pytest.raises(UserError, match="made for 2 partitions and 4 shards, and the topics have 3 and 4"):
        remember(store, Spread(3, 4))


def test_a_divided_store_is_opened_shard_by_shard(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}"
    with pytest.raises(NotThere, match="not there yet"):
        open_online(uri, "fraud")
    assert online_if_there(uri, "fraud") is None
    own = open_store(uri, "fraud")
    own.apply(Change(heads=[("v", 5, b"whole")]))
    whole = open_online(uri, "fraud")
    assert list(whole.read([("v", 5)]).heads) == [b"whole"]
    whole.close()

    remember(own, FOUR)
    own.close()
    assert online_if_there(uri, "fraud") is None
    for number in range(4):
        store = open_store(uri, FOUR.shard("fraud", number))
        store.apply(Change(heads=[("v", KEYS[number], b"%d" % number)]))
        store.close()
    divided = online_if_there(uri, "fraud")
    assert divided is not None
    assert list(divided.read([("v", KEYS[number]) for number in range(4)]).heads) == [b"0", b"1", b"2", b"3"]
    divided.close()
    assert {path.name for path in tmp_path.glob("*.db")} == {
        "fraud.db",
        *(f"fraud.{number}-of-4.db" for number in range(4)),
    }
