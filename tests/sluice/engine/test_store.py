"""One contract, every store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from sluice.engine.store import (
    FENCE,
    Change,
    ChunkGone,
    Fact,
    Heads,
    Knowledge,
    LostPartition,
    Overtaken,
    Position,
    TileStore,
)
from tests.sluice.engine.stores import Contents, Opened, contents, every_store

pytestmark = every_store(pytest.mark.unit, server=pytest.mark.integration)

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


NUMBERS = (5, 50, 0, -5, 2**53 + 1, 2**53 + 2, -(2**63), 2**63 - 1, 7, 8)
TEXTS = (
    "5",
    "05",
    "5.0",
    "+5",
    " 5",
    "-5",
    "5e0",
    "",
    "\0",
    "a\0b",
    '"',
    "9007199254740993",
    "é",
    "e\u0301",
    "\U00010000",
)


def test_keys_that_look_alike_are_kept_apart(opened: Opened) -> None:
    with opened() as store:
        numbers = [("numbers", key, repr(key).encode()) for key in NUMBERS]
        store.apply(change(*numbers, *(("texts", key, repr(key).encode()) for key in TEXTS)))
        assert [held(store, key, "numbers") for key in NUMBERS] == [repr(key).encode() for key in NUMBERS]
        assert [held(store, key, "texts") for key in TEXTS] == [repr(key).encode() for key in TEXTS]
        assert dict(store.scan("texts")) == {key: repr(key).encode() for key in TEXTS}
        assert dict(store.scan("numbers")) == {key: repr(key).encode() for key in NUMBERS}


def test_many_names_are_read_as_few_are(opened: Opened) -> None:
    both = [("numbers", key) for key in NUMBERS] + [("texts", key) for key in TEXTS]
    names = [*both, ("numbers", None), ("numbers", 99), ("texts", "99"), ("nobody", 5), *reversed(both)]
    with opened() as store:
        store.apply(change(*((view, key, repr(key).encode()) for view, key in both)))
        marks = [repr(key).encode() for _, key in both]
        assert list(store.read(names).heads) == [*marks, None, None, None, None, *reversed(marks)]


def test_an_empty_head_is_a_head_and_bodies_are_any_bytes(opened: Opened) -> None:
    odd = bytes(range(256)) + b"\r\n$-1\r\n*0\r\n"
    with opened() as store:
        store.apply(change(("v", 5, b""), ("v", 6, odd)))
        store.apply(Change(chunks=[("v", 5, 0, b""), ("v", 5, 60, odd)]))
        reading = store.read([("v", 5), ("v", 6), ("v", 7)], lambda _: [("v", 5, 0), ("v", 5, 60)])
        assert list(reading.heads) == [b"", odd, None]
        assert reading.chunks == {("v", 5, 0): b"", ("v", 5, 60): odd}
        assert dict(store.scan("v")) == {5: b"", 6: odd}


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
        assert seen
        assert all(heads == [b"hot", None] for heads in seen)
        store.apply(Change(chunks=[("v", 5, 60, b"new"), ("v", 5, 0, None)]))
        assert store.read([("v", 5)], lambda _: [("v", 5, 60)]).chunks == {("v", 5, 60): b"new"}
        with pytest.raises(ChunkGone, match="v: the chunk of 5 that begins at 0 is gone"):
            store.read([("v", 5)], lambda _: [("v", 5, 0)])


def test_chunks_of_many_entities_are_not_mixed_up(opened: Opened) -> None:
    names = [(view, key, start) for view in ("v", "w") for key in (1, 11, 111) for start in (-11, -1, 1, 11, 2**62)]
    with opened() as store:
        store.apply(Change(chunks=[(*name, repr(name).encode()) for name in names]))
        wanted = [*names, *names[:3]]
        assert store.read([], lambda _: wanted).chunks == {name: repr(name).encode() for name in names}


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
        assert set(store.facts([*range(100), "1", "\0"])) == {FACT, about_one, moved, own, same_id}
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
        for id_ in (-(2**63), 2**63 - 1, 1, "", "\0", "\U00010000", "1")
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


def test_a_base_of_any_size_is_loaded_whole(opened: Opened) -> None:
    tiles = [("v", key, start, b"%d" % key) for key in range(2_500) for start in (None, 60)]
    # the second version of an event comes long after its first
    facts = [
        FACT._replace(id=number % 1_300, anchor=number % 1_300, revision=number // 1_300) for number in range(2_600)
    ]
    with opened() as store:
        store.load(4, iter(tiles), iter(facts))
        assert dict(store.scan("v")) == {key: b"%d" % key for key in range(2_500)}
        assert store.read([], lambda _: [("v", 2_499, 60)]).chunks == {("v", 2_499, 60): b"2499"}
        assert set(store.facts(range(1_300))) == set(facts)


def test_a_base_that_breaks_off_changes_nothing(opened: Opened) -> None:
    def broken() -> Iterator[tuple[str, int, None, bytes]]:
        yield from (("v", key, None, b"new") for key in range(1_500))
        raise OSError("the lake is gone")

    with opened() as store:
        store.load(3, [("v", 5, None, b"old")], [FACT])
        store.apply(change())
        before = contents(store)
        with pytest.raises(OSError, match="the lake is gone"):
            store.load(4, broken(), [])
        assert contents(store) == before
        store.load(5, [("v", 6, None, b"newest")], [])
        assert contents(store) == Contents({("v", 6): b"newest"}, {}, set(), Knowledge(5, {}))


def test_facts_before_a_time_are_forgotten_with_the_change_that_says_so(opened: Opened) -> None:
    with opened() as store:
        facts = tuple(FACT._replace(id=number, anchor=number, time=number) for number in (1, 2, 3))
        store.apply(change(("v", 5, b"old"), facts=facts))
        store.apply(Change(heads=[("v", 5, b"new")]), forget=2)
        assert [fact.id for fact in store.facts([1, 2, 3])] == [2, 3]
        assert store.versions([("orders", 1)]) == []
        assert held(store, 5) == b"new"
        assert store.read([]).knowledge.positions == {P: Position(1, 10)}


def test_what_is_forgotten_is_found_by_no_name_and_what_is_left_of_an_event_still_is(opened: Opened) -> None:
    claim = FACT._replace(stream="claims", id=9, anchor=1, time=5)
    later = claim._replace(revision=1, time=20)
    moved = claim._replace(revision=2, anchor=2, time=7)
    with opened() as store:
        store.apply(change(facts=(claim, later, moved)))
        store.apply(Change(), forget=10)
        assert store.versions([("claims", 9)]) == [later]
        store.apply(Change([FACT._replace(time=3), moved._replace(time=30)]), forget=21)
        assert store.versions([("claims", 9), ("orders", 1)]) == [moved._replace(time=30)]
        assert (store.facts([1]), store.facts([2])) == ([], [moved._replace(time=30)])
        store.apply(Change(), forget=2**62)
        assert contents(store).facts == set()


def test_facts_that_are_gone_are_found_by_no_name_and_others_of_the_same_events_still_are(opened: Opened) -> None:
    claim = FACT._replace(stream="claims", id=9, anchor=1)
    later, moved = claim._replace(revision=1), claim._replace(revision=2, anchor=2)
    with opened() as store:
        store.apply(change(facts=(FACT, claim, later, moved)))
        store.apply(Change(gone=[claim, moved, FACT._replace(id=77, anchor=77)]))
        assert contents(store).facts == {FACT, later}
        assert store.versions([("claims", 9)]) == [later]
        store.apply(Change(gone=[FACT, later]))
        store.purge()
        assert contents(store) == Contents({}, {}, set(), Knowledge(-1, {P: Position(1, 10)}))


def test_who_has_not_seen_the_fence_writes_nothing_and_is_told_to_read_again(opened: Opened) -> None:
    with opened() as store:
        store.apply(change(("v", 5, b"old")))
        stale = Change(heads=[("v", 5, b"new")], expected={P: 1, FENCE: None}, positions={P: Position(2, 20)})
        store.apply(Change(positions={FENCE: Position(1, None)}))
        with pytest.raises(Overtaken, match="read the positions again, and go on from them"):
            store.apply(stale)
        assert held(store, 5) == b"old"
        with pytest.raises(LostPartition):
            store.apply(Change(expected={FENCE: None, P: 7}))
        store.apply(Change(heads=stale.heads, expected={P: 1, FENCE: 1}, positions=stale.positions))
        assert held(store, 5) == b"new"
        assert store.read([]).knowledge.describe() == {"base": -1, "positions": {"payments/0": 2}}


def test_everything_that_is_written_can_be_taken_away_again(opened: Opened) -> None:
    with opened() as store:
        store.apply(Change(heads=[("v", 5, b"head")], chunks=[("v", 5, 60, b"chunk")]))
        store.apply(Change(heads=[("v", 5, None)], chunks=[("v", 5, 60, None), ("w", 5, 60, None)]))
        assert contents(store) == Contents({}, {}, set(), Knowledge(-1, {}))
