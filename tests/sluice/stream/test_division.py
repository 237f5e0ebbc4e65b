"""Routers and folds of several partitions: whoever dies and whenever, the bytes of one consumer, and an exact K."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.fold import load_base
from sluice.engine.read import answer
from sluice.engine.shards import Spread
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import windowed
from sluice.errors import Outage
from sluice.lake.requests import encode_requests
from sluice.stream.division import Division
from sluice.stream.memory import MemoryTopics
from tests.properties import examples
from tests.sluice.stream import payments, refunds
from tests.sluice.stream.feeds import Message, feed, send
from tests.sluice.stream.plant import Plant, merged
from tests.sluice.stream.reference import history, known_within, located_history, questions, tiles_of
from tests.sluice.stream.refunds import told_as_refunds

pytestmark = pytest.mark.unit

FEW = settings(max_examples=examples(20))
SIZE = 160
"""How many messages are produced."""
SPREADS = [Spread(2, 2), Spread(3, 2), Spread(2, 4), Spread(1, 3), Spread(4, 1)]
both = pytest.mark.parametrize("pipeline", [payments.pipeline, refunds.pipeline], ids=lambda one: one.name)


def messages(pipeline: Pipeline, seed: int, size: int) -> list[Message]:
    found = feed(seed, size)
    return list(told_as_refunds(found)) if pipeline is refunds.pipeline else found


def assert_like_one_consumer(plant: Plant) -> None:
    """Every (view, entity) has the bytes that one consumer of everything would have written."""
    assert_same(plant, plant.whole(MemoryStore()))


def assert_same(plant: Plant, whole: MemoryStore) -> None:
    assert merged(plant.shards, lambda store: store._heads) == whole._heads
    assert merged(plant.shards, lambda store: store._chunks) == whole._chunks


def assert_exact(plant: Plant, asked: Sequence[dict[str, Any]]) -> int:
    """The features of each entity are those of the records up to what it knows, to the bit; how many knew anything."""
    pipeline, requests = plant.pipeline, encode_requests(plant.pipeline, asked)
    found = answer(pipeline, plant.reader, requests)
    located, knowing = located_history(pipeline, plant.sources), 0
    for place in range(len(asked)):
        known = found.known(place)["keys"]
        for key in pipeline.keys:
            positions = known.get(key, {"positions": {}})["positions"]
            events = known_within(located, positions)
            views = [view for view in pipeline.windows if view.of == key]
            for name, (values, valid) in windowed(pipeline, views, events, requests.slice(place, 1)).items():
                answered, there = found.values[name]
                assert (values.tobytes(), valid[0]) == (answered[place : place + 1].tobytes(), there[place]), name
            knowing += bool(positions)
    return knowing


def step(plant: Plant) -> None:
    """Anything that may happen between two moments."""
    chance = plant.chance
    router, shard = chance.randrange(plant.spread.partitions), chance.randrange(plant.spread.shards)
    happens = {
        lambda: plant.route(router, 20): 6,
        lambda: plant.fold(shard, chance.randrange(1, 6)): 6,
        lambda: plant.cut_off(router): 2,
        lambda: plant.replace(plant.routers, router): 1,
        lambda: plant.replace(plant.folds, shard): 1,
        plant.wake: 2,
    }
    chance.choices(list(happens), list(happens.values()))[0]()


@both
@FEW
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from(SPREADS))
def test_a_vector_knows_exactly_what_it_says_at_any_moment(pipeline: Pipeline, seed: int, spread: Spread) -> None:
    plant, sent = Plant(pipeline, spread, random.Random(seed)), messages(pipeline, seed, SIZE)
    knowing = 0
    for start in range(0, SIZE, 40):
        plant.produce(sent[start : start + 40])
        for _ in range(8):
            step(plant)
        knowing += assert_exact(plant, questions(sent[: start + 40], seed + start, 4))
    assert knowing > 10


@both
@FEW
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from(SPREADS))
def test_any_order_of_batches_and_any_owner_leaves_the_bytes_of_one_consumer(
    pipeline: Pipeline, seed: int, spread: Spread
) -> None:
    plant = Plant(pipeline, spread, random.Random(seed))
    for part in (messages(pipeline, seed, SIZE)[start : start + 40] for start in range(0, SIZE, 40)):
        plant.produce(part)
        for _ in range(6):
            step(plant)
    plant.drain()
    assert_like_one_consumer(plant)


@both
@FEW
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from(SPREADS))
def test_stores_that_are_set_back_come_to_the_same_bytes(pipeline: Pipeline, seed: int, spread: Spread) -> None:
    """A power cut, a backup that is brought back: routers and folds read again from an old offset."""
    plant, sent = Plant(pipeline, spread, random.Random(seed)), messages(pipeline, seed, SIZE)
    kept: dict[str, MemoryStore] = {}
    for start in range(0, SIZE, 40):
        plant.produce(sent[start : start + 40])
        for _ in range(5):
            step(plant)
        if kept:
            plant.set_back(kept)
        name = plant.chance.choice(sorted(plant.stores))
        kept[name] = copy.deepcopy(plant.stores[name])
    plant.drain()
    assert_like_one_consumer(plant)


@both
@FEW
@given(seed=st.integers(0, 2**32 - 1), spread=st.sampled_from(SPREADS))
def test_a_base_is_divided_as_what_follows_it(pipeline: Pipeline, seed: int, spread: Spread) -> None:
    plant, sent = Plant(pipeline, spread, random.Random(seed)), messages(pipeline, seed, SIZE)
    plant.produce(sent[:40])
    step(plant)
    files = MemoryTopics()
    send(pipeline, files, sent[:90])
    events = {name: in_files(table) for name, table in history(pipeline, files.records).items()}
    plant.load(7, tiles_of(pipeline, events), events)
    for start in range(40, SIZE, 40):
        plant.produce(sent[start : start + 40])
        for _ in range(6):
            step(plant)
    plant.drain()
    whole = MemoryStore()
    load_base(pipeline, whole, 7, tiles_of(pipeline, events), events)
    assert_same(plant, plant.whole(whole))
    assert {store.base for store in plant.stores.values()} == {7}


def test_a_shard_that_missed_the_base_of_the_whole_store_is_not_folded() -> None:
    pipeline, stores = payments.pipeline, dict[str, MemoryStore]()
    division = Division(pipeline, Spread(2, 2), "", lambda name: stores.setdefault(name, MemoryStore()))
    assert division.remember() == -1
    division._shard(-1, 0).close()
    stores[pipeline.name].base = 7
    with pytest.raises(Outage, match="knows nothing of base 7"):
        division._shard(division.remember(), 0)
    stores["payments.0-of-2"].base = 8
    division._shard(division.remember(), 0).close()


def in_files(events: pa.Table) -> pa.Table:
    """Events as if they had come in files, and so had met no watermark."""
    place = events.schema.get_field_index("_watermark")
    return events.set_column(place, "_watermark", pa.nulls(len(events), pa.int64()))
