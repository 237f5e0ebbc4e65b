"""One contract, every store."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.engine.store import Change, Fact, Knowledge, LostPartition, Position, TileStore, Wanted
from sluice.engine.tiles import Tile
from tests.sluice.engine.stores import Opened, every_store

pytestmark = [pytest.mark.unit, every_store]

P, Q = ("payments", 0), ("payments", 1)
FACT = Fact("orders", 1, 0, 7, 1, 0, 100, 100, None, b"[1]")
ALL_SLOTS = (-(2**40), 2**40)


def made(slot: int, mark: bytes = b"s") -> Tile:
    return Tile(slot, mark, b"rows", b"ids")


def change(
    *tiles: tuple[str, object, Tile], facts: tuple[Fact, ...] = (), at: int | None = None, to: int = 1
) -> Change:
    return Change(facts, tiles, {P: at}, {P: Position(to, to * 10)})


def held(store: TileStore, key: object, view: str = "v") -> list[Tile]:
    return store.read([Wanted(view, key, *ALL_SLOTS)]).tiles[0]


def test_a_range_of_slots_is_read_in_order_with_both_ends(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(*(("v", 5, made(slot)) for slot in (3, 1, 2, -4))))
        found = store.read([Wanted("v", 5, -4, 2), Wanted("v", 6, 0, 9), Wanted("w", 5, 0, 9)]).tiles
        assert [[tile.slot for tile in tiles] for tiles in found] == [[-4, 1, 2], [], []]


def test_keys_keep_their_type_and_null_is_the_empty_state(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, made(1, b"number")), ("v", "5", made(1, b"text")), ("v", "", made(1, b"empty"))))
        assert [tile.state for key in (5, "5", "") for tile in held(store, key)] == [b"number", b"text", b"empty"]
        assert held(store, None) == []


def test_a_tile_written_again_replaces_the_one_before(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, made(1, b"old")), ("v", 5, made(2))))
        store.apply(change(("v", 5, made(1, b"new")), at=1, to=2))
        assert [tile.state for tile in held(store, 5)] == [b"new", b"s"]


def test_a_reading_knows_the_base_and_the_positions_it_was_read_at(opened: Opened) -> None:
    with opened() as store:
        assert store.read([]).knowledge == Knowledge(-1, {})
        store.load(12, [], [])
        store.apply(change())
        store.apply(Change((), (), {Q: None}, {Q: Position(4, None)}))
        assert store.read([]).knowledge == Knowledge(12, {P: Position(1, 10), Q: Position(4, None)})
        assert store.read([]).knowledge.describe() == {"base": 12, "positions": {"payments/0": 1, "payments/1": 4}}


@pytest.mark.parametrize("expected", [None, 0, 2])
def test_a_partition_that_stands_elsewhere_is_lost_and_nothing_of_the_batch_is_stored(
    opened: Opened, expected: int | None
) -> None:
    with opened() as store:
        store.apply(change(("v", 5, made(1, b"old")), facts=(FACT,)))
        stale = Change(
            [replace(FACT, revision=1)], [("v", 5, made(1, b"new")), ("v", 5, made(2))], {Q: None, P: expected}, {}
        )
        with pytest.raises(LostPartition) as lost:
            store.apply(replace(stale, positions={P: Position(9, 9), Q: Position(1, 1)}))
        assert str(lost.value) == (
            f"payments/0: offset 1 where {expected} was expected\n"
            "  next: stop this consumer; the one that moved it goes on"
        )
        assert [tile.state for tile in held(store, 5)] == [b"old"]
        assert store.facts([1]) == [FACT]
        assert store.read([]).knowledge.positions == {P: Position(1, 10)}


def test_facts_are_found_by_what_they_are_about_and_by_their_own_id(opened: Opened) -> None:
    about_one = replace(FACT, stream="claims", id=9, anchor=1)
    moved = replace(about_one, revision=1, anchor=2)
    same_id = replace(FACT, stream="other", id=9, anchor=9)
    with opened() as store:
        store.apply(change(facts=(FACT, about_one, moved, same_id)))
        assert set(store.facts([1, 1, 3])) == {FACT, about_one}
        assert set(store.versions([("claims", 9), ("claims", 9), ("claims", 1)])) == {about_one, moved}
        assert store.versions([("claims", "9")]) == []
        assert store.facts([]) == store.versions([]) == []


def test_versions_differ_by_revision_hash_and_operation_and_a_better_copy_replaces(opened: Opened) -> None:
    versions = [FACT, replace(FACT, revision=1), replace(FACT, hash=-8), replace(FACT, op=1)]
    with opened() as store:
        store.apply(change(facts=tuple(versions)))
        store.apply(change(facts=(replace(FACT, known=50),), at=1, to=2))
        assert set(store.facts([1])) == {replace(FACT, known=50), *versions[1:]}


def test_extreme_integers_and_texts_come_back_as_they_were(opened: Opened) -> None:
    odd = [
        replace(FACT, id=id_, anchor=id_, hash=hash_, time=time, watermark=time)
        for id_ in (-(2**63), 2**63 - 1, "", "\U00010000")
        for hash_, time in ((-(2**63), -1), (2**63 - 1, 2**60))
    ]
    with opened() as store:
        store.apply(change(facts=tuple(odd)))
        assert {(type(fact.id), fact) for fact in store.facts([fact.anchor for fact in odd])} == {
            (type(fact.id), fact) for fact in odd
        }


def test_a_base_replaces_everything(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, made(1)), facts=(FACT,)))
        store.load(3, [("v", 6, made(2))], [replace(FACT, id=2, anchor=2)])
        assert (held(store, 5), [tile.slot for tile in held(store, 6)]) == ([], [2])
        assert (store.facts([1]), len(store.facts([2]))) == ([], 1)
        assert store.versions([("orders", 1)]) == []
        assert store.read([]).knowledge == Knowledge(3, {})


def test_what_lies_before_is_forgotten(opened: Opened) -> None:
    with opened() as store:
        facts = tuple(replace(FACT, id=number, anchor=number, time=number) for number in (1, 2, 3))
        tiles = [(view, 5, made(slot)) for view in ("v", "w", "x") for slot in (1, 2, 3)]
        store.apply(change(*tiles, facts=facts))
        store.forget(2, {"v": 2, "w": 3})
        assert [fact.id for fact in store.facts([1, 2, 3])] == [2, 3]
        assert store.versions([("orders", 1)]) == []
        assert [[tile.slot for tile in held(store, 5, view)] for view in ("v", "w", "x")] == [[2, 3], [3], [1, 2, 3]]
