"""One contract, every store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sluice.engine.store import Change, Fact, Heads, Knowledge, LostPartition, Position, TileStore
from tests.sluice.engine.stores import Opened, every_store

pytestmark = [pytest.mark.unit, every_store]

P, Q = ("payments", 0), ("payments", 1)
FACT = Fact(1, "orders", 1, 0, 7, 0, 100, 100, None, b"[1]")
Put = tuple[str, object, bytes | None]


def change(*heads: Put, facts: tuple[Fact, ...] = (), at: int | None = None, to: int = 1) -> Change:
    return Change(facts, heads, (), {P: at}, {P: Position(to, to * 10)})


def held(store: TileStore, key: object, view: str = "v") -> bytes | None:
    return store.read([(view, key)]).heads[0]


def test_heads_are_read_in_the_order_asked(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, b"five"), ("v", 6, b"six"), ("w", 5, b"other")))
        found = store.read([("w", 5), ("v", 6), ("v", 7), ("x", 5), ("v", 5)]).heads
        assert list(found) == [b"other", b"six", None, None, b"five"]


@pytest.mark.parametrize("keys", [(5, -(2**63), 2**63 - 1), ("5", "", "\U00010000")], ids=["numbers", "texts"])
def test_keys_come_back_as_they_were_and_nobody_has_nothing(opened: Opened, keys: tuple[object, ...]) -> None:
    with opened() as store:
        store.apply(change(*(("v", key, str(key).encode()) for key in keys)))
        assert [held(store, key) for key in keys] == [str(key).encode() for key in keys]
        assert held(store, None) is None
        assert {(type(key), key) for key, _ in store.scan("v")} == {(type(key), key) for key in keys}
        assert list(store.scan("w")) == []


def test_a_head_written_again_replaces_the_one_before_and_nothing_removes_it(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, b"old"), ("v", 6, b"stays")))
        store.apply(change(("v", 5, b"new"), at=1, to=2))
        assert held(store, 5) == b"new"
        store.apply(change(("v", 5, None), ("v", 9, None), at=2, to=3))
        assert (held(store, 5), held(store, 6)) == (None, b"stays")


def test_chunks_are_read_as_the_heads_call_for_them(opened: Opened) -> None:
    chunks = [("v", 5, start, str(start).encode()) for start in (-60, 0, 60)]
    seen: list[Sequence[bytes | None]] = []

    def call(heads: Heads) -> list[tuple[str, object, int]]:
        seen.append(list(heads))
        return [("v", 5, -60), ("v", 5, 60)]

    with opened() as store:
        store.apply(Change(heads=[("v", 5, b"hot")], chunks=chunks))
        assert store.read([("v", 5), ("v", 6)], call).chunks == {("v", 5, -60): b"-60", ("v", 5, 60): b"60"}
        assert seen == [[b"hot", None]]
        store.apply(Change(chunks=[("v", 5, 60, b"new"), ("v", 5, 0, None)]))
        assert store.read([("v", 5)], lambda _: [("v", 5, 60)]).chunks == {("v", 5, 60): b"new"}
        with pytest.raises((KeyError, TypeError)):
            store.read([("v", 5)], lambda _: [("v", 5, 0)])


def test_a_reading_knows_the_base_and_the_positions_it_was_read_at(opened: Opened) -> None:
    with opened() as store:
        assert store.read([]).knowledge == Knowledge(-1, {})
        store.load(12, [], [])
        store.apply(change())
        store.apply(Change(expected={Q: None}, positions={Q: Position(4, None)}))
        assert store.read([]).knowledge == Knowledge(12, {P: Position(1, 10), Q: Position(4, None)})
        assert store.read([]).knowledge.describe() == {"base": 12, "positions": {"payments/0": 1, "payments/1": 4}}


@pytest.mark.parametrize("expected", [None, 0, 2])
def test_a_partition_that_stands_elsewhere_is_lost_and_nothing_of_the_batch_is_stored(
    opened: Opened, expected: int | None
) -> None:
    with opened() as store:
        store.apply(change(("v", 5, b"old"), facts=(FACT,)))
        moved = {P: Position(9, 9), Q: Position(1, 1)}
        heads, chunks = [("v", 5, b"new"), ("new view", 5, b"new")], [("v", 5, 0, b"chunk")]
        stale = Change([FACT._replace(revision=1)], heads, chunks, {Q: None, P: expected}, moved)
        with pytest.raises(LostPartition) as lost:
            store.apply(stale)
        assert str(lost.value) == (
            f"payments/0: offset 1 where {expected} was expected\n"
            "  next: stop this consumer; the one that moved it goes on"
        )
        assert (held(store, 5), held(store, 5, "new view")) == (b"old", None)
        assert store.facts([1]) == [FACT]
        assert store.read([]).knowledge.positions == {P: Position(1, 10)}


def test_facts_are_found_by_what_they_are_about_and_by_their_own_id(opened: Opened) -> None:
    about_one = FACT._replace(stream="claims", id=9, anchor=1)
    moved = about_one._replace(revision=1, anchor=2)
    own = about_one._replace(revision=2, anchor=9)
    same_id = FACT._replace(stream="other", id=9, anchor=9)
    with opened() as store:
        store.apply(change(facts=(FACT, about_one, moved, own, same_id)))
        assert set(store.facts([1, 1, 3])) == {FACT, about_one}
        assert set(store.versions([("claims", 9), ("claims", 9), ("claims", 1)])) == {about_one, moved, own}
        assert store.versions([("claims", "9")]) == []
        assert store.facts([]) == store.versions([]) == []


def test_versions_differ_by_revision_hash_and_operation_and_a_better_copy_replaces(opened: Opened) -> None:
    versions = [FACT, FACT._replace(revision=1), FACT._replace(hash=-8), FACT._replace(op=1)]
    with opened() as store:
        store.apply(change(facts=tuple(versions)))
        store.apply(change(facts=(FACT._replace(known=50),), at=1, to=2))
        assert set(store.facts([1])) == {FACT._replace(known=50), *versions[1:]}


def test_extreme_integers_and_texts_come_back_as_they_were(opened: Opened) -> None:
    odd = [
        FACT._replace(id=id_, anchor=id_, hash=hash_, time=time, watermark=time)
        for id_ in (-(2**63), 2**63 - 1, "", "\U00010000", "1")
        for hash_, time in ((-(2**63), -1), (2**63 - 1, 2**60))
    ]
    with opened() as store:
        store.apply(change(facts=tuple(odd)))
        assert {(type(fact.id), fact) for fact in store.facts([fact.anchor for fact in odd])} == {
            (type(fact.id), fact) for fact in odd
        }


def test_a_base_replaces_everything(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, b"old"), facts=(FACT,)))
        store.apply(Change(chunks=[("v", 5, 0, b"chunk")]))
        tiles = [("v", 6, None, b"head"), ("v", 6, 60, b"rows")]
        store.load(3, tiles, [FACT._replace(id=2, anchor=2)])
        assert (held(store, 5), held(store, 6)) == (None, b"head")
        assert store.read([("v", 6)], lambda _: [("v", 6, 60)]).chunks == {("v", 6, 60): b"rows"}
        assert (store.facts([1]), len(store.facts([2]))) == ([], 1)
        assert store.versions([("orders", 1)]) == []
        assert store.read([]).knowledge == Knowledge(3, {})


def test_facts_before_a_time_are_forgotten_with_the_change_that_says_so(opened: Opened) -> None:
    with opened() as store:
        facts = tuple(FACT._replace(id=number, anchor=number, time=number) for number in (1, 2, 3))
        store.apply(change(("v", 5, b"old"), facts=facts))
        store.apply(Change(heads=[("v", 5, b"new")]), forget=2)
        assert [fact.id for fact in store.facts([1, 2, 3])] == [2, 3]
        assert store.versions([("orders", 1)]) == []
        assert held(store, 5) == b"new"
        assert store.read([]).knowledge.positions == {P: Position(1, 10)}
