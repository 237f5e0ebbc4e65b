from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.build import build
from sluice.engine.fold import Folded, MicroBatch, fold, load_base
from sluice.engine.forget import forget_expired, lifelong
from sluice.engine.history import keep, rows
from sluice.engine.read import answer
from sluice.engine.store import LostPartition, MemoryStore, Position, TileStore
from sluice.engine.vectors import as_values, pack, vectors
from tests.sluice.engine.folding import PARTITION, answered, assert_same_bits, batches_of, fold_all
from tests.sluice.engine.oracle import Asked, Version, packed_vector
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.stores import Opened, every_store
from tests.sluice.engine.worlds import START, World, asked_table, digest, several, tables, told_worlds, worlds

unit = pytest.mark.unit
on_every_store = every_store(pytest.mark.unit, server=pytest.mark.integration)
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)


def expected(pipeline: Pipeline, world: World) -> list[bytes]:
    return [packed_vector(pipeline, asked, world.versions) for asked in world.requests]


def batched(pipeline: Pipeline, world: World) -> list[bytes]:
    found = vectors(pipeline, tables(pipeline, world.versions), asked_table(pipeline, world.requests))
    return pack(pipeline, as_values(pipeline, found))


def load(pipeline: Pipeline, store: TileStore, versions: list[Version]) -> None:
    events = tables(pipeline, versions)
    tiles = {view.name: build(view, rows(view, events, kept=keep(pipeline))) for view in pipeline.windows}
    load_base(pipeline, store, 7, tiles, events)


@pipelines
@on_every_store
@several
@given(data=st.data())
def test_any_split_into_batches_in_any_order_gives_the_bits_of_the_whole(
    pipeline: Pipeline, opened: Opened, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    with opened() as store:
        fold_all(pipeline, store, data.draw(batches_of(world.versions)))
        assert_same_bits(pipeline, answered(pipeline, store, world.requests), batched(pipeline, world))
        assert_same_bits(pipeline, batched(pipeline, world), expected(pipeline, world))


@unit
@pytest.mark.parametrize("pipeline", ALL[:2], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_labels_fold_to_the_bits_of_their_definition(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(told_worlds(pipeline))
    store = MemoryStore()
    fold_all(pipeline, store, data.draw(batches_of(world.versions)))
    assert_same_bits(pipeline, answered(pipeline, store, world.requests), expected(pipeline, world))


@pipelines
@on_every_store
@several
@given(data=st.data())
def test_a_base_and_the_fold_of_the_rest_give_the_bits_of_everything(
    pipeline: Pipeline, opened: Opened, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    cut = data.draw(st.integers(0, len(world.versions)))
    with opened() as store:
        load(pipeline, store, world.versions[:cut])
        fold_all(pipeline, store, data.draw(batches_of(world.versions[cut:])))
        assert_same_bits(pipeline, answered(pipeline, store, world.requests), expected(pipeline, world))
        assert store.read([]).knowledge.base == 7


@pipelines
@on_every_store
@several
@given(data=st.data())
def test_what_is_forgotten_could_not_have_been_reached(pipeline: Pipeline, opened: Opened, data: st.DataObject) -> None:
    old, new = data.draw(worlds(pipeline)), data.draw(worlds(pipeline))
    if any(lifelong(view) for view in pipeline.windows):
        # what a lifetime holds of a forgotten event stays, whatever is said of the event later
        new = renamed(pipeline, new)
    shift = data.draw(st.sampled_from([6, 8, 10, 12, 15, 18, 40])) * MINUTE
    watermark = START + shift - 3 * MINUTE
    later = [
        replace(
            version,
            revision=version.revision + 3,
            time=version.time + shift,
            known=version.known + shift,
            watermark=max(watermark, (version.watermark or version.time) + shift),
        )
        for version in new.versions
    ]
    requests = [replace(asked, time=asked.time + shift) for asked in new.requests]
    with opened() as store:
        load(pipeline, store, old.versions)
        forget_expired(pipeline, store, watermark)
        assert shift < 40 * MINUTE or store.facts([version.id for version in old.versions]) == []
        fold_all(pipeline, store, data.draw(batches_of(later)))
        whole = World([*old.versions, *later], requests)
        assert_same_bits(pipeline, answered(pipeline, store, requests), expected(pipeline, whole))


def renamed(pipeline: Pipeline, world: World) -> World:
    """The same world with other events in it."""
    links = {stream.name: stream.parent[0] for stream in pipeline.streams if stream.parent}
    versions = [
        replace(
            version,
            id=other(version.id),
            values={
                name: other(value) if name == links.get(version.stream) else value
                for name, value in version.values.items()
            },
        )
        for version in world.versions
    ]
    requests = [replace(asked, id=None if asked.id is None else other(asked.id)) for asked in world.requests]
    return World(versions, requests)


def other(identity: int | str | None) -> int | str | None:
    return identity + 100 if isinstance(identity, int) else identity


SHOP = shop()
VALUES = {"customer": 0, "till": "x", "amount": 150, "items": 2, "gift": 0, "channel": 0, "country": None}
ORDER = Version("orders", 1, START, VALUES, hash=digest(START, VALUES), known=START)
REQUEST = Asked(START + MINUTE - 1, 9, VALUES)


def micro(*versions: Version, expected: int | None = None, to: int = 1) -> MicroBatch:
    return MicroBatch(tables(SHOP, versions), {PARTITION: expected}, {PARTITION: Position(to, None)})


@unit
def test_a_fold_says_what_it_did() -> None:
    store = MemoryStore()
    # a customer's tile and a till's, of the plain views and of the label's
    assert fold(SHOP, store, micro(ORDER, ORDER)) == Folded(events=2, fresh=1, entities=3)
    assert fold(SHOP, store, micro(ORDER, expected=1, to=2)) == Folded(events=1, fresh=0, entities=0)


@unit
def test_a_batch_without_events_moves_the_positions() -> None:
    store = MemoryStore()
    fold(SHOP, store, MicroBatch({}, {PARTITION: None}, {PARTITION: Position(5, 6)}))
    assert store.read([]).knowledge.positions == {PARTITION: Position(5, 6)}


@on_every_store
def test_a_consumer_that_lost_its_partition_changes_nothing(opened: Opened) -> None:
    with opened() as store:
        fold(SHOP, store, micro(ORDER))
        before = answered(SHOP, store, [REQUEST])
        with pytest.raises(LostPartition):
            fold(SHOP, store, micro(replace(ORDER, id=2), expected=None))
        assert answered(SHOP, store, [REQUEST]) == before
        assert store.facts([2]) == []
        assert store.read([]).knowledge.positions == {PARTITION: Position(1, None)}


@on_every_store
def test_a_base_keeps_the_first_copy_of_an_event_that_came_twice(opened: Opened) -> None:
    late = replace(ORDER, watermark=START + 60 * MINUTE)
    with opened() as store:
        load(SHOP, store, [ORDER, late])
        fold(SHOP, store, micro(ORDER))
        assert answered(SHOP, store, [REQUEST]) == [packed_vector(SHOP, REQUEST, [ORDER])]


@unit
def test_what_was_said_of_one_event_and_then_of_another_is_heard_when_somebody_else_speaks() -> None:
    other = replace(ORDER, id=2, values={**VALUES, "till": "y"})
    said = {"order_id": 1, "is_bad": 1, "cost": 0}
    claim = Version("claims", 8, START, said, hash=1, known=START)
    moved = replace(claim, revision=1, values=said | {"order_id": 2}, hash=2)
    denied = replace(claim, id=7, time=START - 1, values=said | {"is_bad": 0}, hash=3)
    asked = [Asked(START + 2 * MINUTE + 1, 9, VALUES | {"till": till}) for till in ("x", "y")]
    store = MemoryStore()
    history = [ORDER, other, claim, moved, denied]
    fold_all(SHOP, store, [[version] for version in history])
    assert_same_bits(SHOP, answered(SHOP, store, asked), expected(SHOP, World(history, asked)))
    risks = answer(SHOP, store, asked_table(SHOP, asked)).values["risk__share_is_bad_1min"][0]
    assert risks.tolist() == [0.0, 1.0]


@unit
def test_facts_go_once_nothing_that_still_counts_can_need_them() -> None:
    span = 2 * keep(SHOP)
    store = MemoryStore()
    fold(SHOP, store, micro(ORDER))
    forget_expired(SHOP, store, START + span)
    assert len(store.facts([1])) == 1
    forget_expired(SHOP, store, START + span + 1)
    assert store.facts([1]) == []
