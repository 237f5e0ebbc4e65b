from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.batch import Column, compute
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.history import keep, rows
from sluice.engine.read import answer, read_view
from sluice.engine.store import Knowledge, MemoryStore, Position
from sluice.engine.vectors import pack, requests_of
from tests.sluice.engine.folding import PARTITION, answered, fold_all
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.stores import Opened, every_store
from tests.sluice.engine.worlds import KEYS, START, asked_table, digest, several, tables, times, worlds

unit = pytest.mark.unit
on_every_store = every_store(pytest.mark.unit, server=pytest.mark.integration)


@unit
@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_a_read_without_request_is_a_request_after_every_other_that_is_not_counted(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world, at = data.draw(worlds(pipeline)), data.draw(times())
    store = MemoryStore()
    fold_all(pipeline, store, [world.versions])
    events = tables(pipeline, world.versions)
    for view in pipeline.windows:
        keys = KEYS[view.key.type]
        found = read_view(view, store, keys, at)
        asked = [Asked(at, None, dict.fromkeys(pipeline.events.columns) | {view.of: key}) for key in keys]
        requests = requests_of(view, asked_table(pipeline, asked))
        whole = compute(view, rows(view, events, kept=keep(pipeline)), requests)
        for feature in view.functions:
            if view.include_request and feature.counts_request:
                assert not found[feature.name][1].any()
            else:
                assert bits(found[feature.name]) == bits(whole[feature.name])


def bits(column: Column) -> list[bytes | None]:
    return [value.tobytes() if valid else None for value, valid in zip(*column, strict=True)]


@unit
@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_requests_answered_together_have_the_bits_of_each_alone(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    store = MemoryStore()
    fold_all(pipeline, store, [world.versions])
    alone = [answered(pipeline, store, [asked])[0] for asked in world.requests]
    assert answered(pipeline, store, world.requests) == alone


SHOP = shop()
VALUES = {"customer": 0, "till": "x", "amount": 150, "items": 2, "gift": 0, "channel": 0, "country": None}


def order(number: int) -> Version:
    return Version("orders", number, START + number, VALUES, hash=digest(START + number, VALUES), known=START + number)


@on_every_store
def test_a_vector_knows_exactly_the_batches_that_its_positions_say(opened: Opened) -> None:
    request = asked_table(SHOP, [Asked(START + 100, 100, VALUES)])
    with opened() as store:
        for offset in range(5):
            moved = {PARTITION: Position(offset + 1, None)}
            fold(SHOP, store, MicroBatch(tables(SHOP, [order(offset)]), {PARTITION: offset or None}, moved))
            found = answer(SHOP, store, request)
            assert found.knowledge == Knowledge(-1, moved)
            assert found.values["customer__count_1min"][0].tolist() == [offset + 2]


@unit
def test_a_store_may_be_read_from_many_threads_of_one_process() -> None:
    store = MemoryStore()
    fold_all(SHOP, store, [[order(number) for number in range(20)]])
    requests = asked_table(SHOP, [Asked(START + number, number, VALUES) for number in range(20)])
    expected = pack(SHOP, answer(SHOP, store, requests).values)
    found: list[bool] = []

    def read() -> None:
        found.extend(pack(SHOP, answer(SHOP, store, requests).values) == expected for _ in range(10))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40


@unit
def test_no_requests_have_no_vectors() -> None:
    found = answer(SHOP, MemoryStore(), asked_table(SHOP, []))
    assert {name: (len(value), len(valid)) for name, (value, valid) in found.values.items()} == {
        place.name: (0, 0) for place in SHOP.features
    }
    assert np.shape(pack(SHOP, found.values)) == (0,)
