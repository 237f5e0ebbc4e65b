"""The laws that a store and the values read from it obey, each by itself.

Two more stand elsewhere: the backfill and the fold of the rest are the fold of everything (`test_fold`), and what is
read is what its definition says (`test_vectors`, `test_fold`).
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import DAY, MINUTE
from sluice.declare.functions import LIFETIME
from sluice.declare.pipeline import Pipeline
from sluice.engine.batch import compute
from sluice.engine.encode import row_hashes
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.forget import forget_expired
from sluice.engine.history import keep, rows
from sluice.engine.store import MemoryStore, Position
from sluice.engine.vectors import as_values, pack, requests_of, vectors
from tests.sluice.engine.contents import contents, with_leaf
from tests.sluice.engine.folding import PARTITION, answered, assert_same_bits, batches_of, fold_all
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.pipelines import bazaar, clinic, sensors, shop
from tests.sluice.engine.stores import memory, sqlite
from tests.sluice.engine.worlds import START, asked_table, several, tables, worlds

pytestmark = pytest.mark.unit

BAZAAR, CLINIC = bazaar(), clinic()
pipelines = pytest.mark.parametrize("pipeline", [bazaar(), shop(), clinic()], ids=lambda pipeline: pipeline.name)
FAR = DAY
"""Further than any window, delay and horizon of these pipelines."""


def batched(pipeline: Pipeline, versions: list[Version], requests: list[Asked]) -> list[bytes]:
    found = vectors(pipeline, tables(pipeline, versions), asked_table(pipeline, requests))
    return pack(pipeline, as_values(pipeline, found))


def folded(pipeline: Pipeline, batches: list[list[Version]]) -> MemoryStore:
    store = MemoryStore()
    fold_all(pipeline, store, batches)
    return store


@pipelines
@several
@given(data=st.data())
def test_permutation_the_order_of_arrival_leaves_no_trace(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    shuffled = data.draw(st.permutations(world.versions))
    one, other = (folded(pipeline, [[version] for version in order]) for order in (world.versions, shuffled))
    assert contents(pipeline, one, world.versions) == contents(pipeline, other, world.versions)
    assert answered(pipeline, one, world.requests) == answered(pipeline, other, world.requests)


@pipelines
@several
@given(data=st.data())
def test_split_the_cut_into_batches_leaves_no_trace(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    whole, cut = (folded(pipeline, batches) for batches in ([world.versions], data.draw(batches_of(world.versions))))
    assert contents(pipeline, whole, world.versions) == contents(pipeline, cut, world.versions)


@pipelines
@several
@given(data=st.data())
def test_leaf_how_tiles_are_split_changes_no_bit(pipeline: Pipeline, data: st.DataObject) -> None:
    world, batches = data.draw(worlds(pipeline)), []
    batches = data.draw(batches_of(world.versions))
    expected = batched(pipeline, world.versions, world.requests)
    for leaf in (1, 2, 3, 512):
        cut = with_leaf(pipeline, leaf)
        assert cut.definition == pipeline.definition
        assert_same_bits(cut, answered(cut, folded(cut, batches), world.requests), expected)


@pipelines
@several
@given(data=st.data())
def test_duplicates_what_comes_again_changes_nothing(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    batches = data.draw(batches_of(world.versions))
    store = folded(pipeline, batches)
    before = contents(pipeline, store, world.versions)
    for offset, batch in enumerate(batches, len(batches)):
        again = MicroBatch(tables(pipeline, batch), {PARTITION: offset}, {PARTITION: Position(offset + 1, None)})
        done = fold(pipeline, store, again)
        assert (done.fresh, done.entities) == (0, 0)
    assert contents(pipeline, store, world.versions) == before


@pipelines
@several
@given(data=st.data())
def test_late_what_comes_after_every_horizon_changes_nothing(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    late = [replace(version, watermark=START + FAR) for version in data.draw(worlds(pipeline)).versions]
    # what is known of them may come later than anything else, and is heard at once
    late = [replace(version, revision=version.revision + data.draw(st.integers(0, 3))) for version in late]
    mixed = data.draw(st.permutations([*world.versions, *late]))
    assert batched(pipeline, mixed, world.requests) == batched(pipeline, world.versions, world.requests)
    store = folded(pipeline, [mixed])
    assert_same_bits(
        pipeline, answered(pipeline, store, world.requests), batched(pipeline, world.versions, world.requests)
    )


@pipelines
@several
@given(data=st.data())
def test_sqlite_keeps_what_memory_keeps_byte_for_byte(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    batches = data.draw(batches_of(world.versions))
    watermark = START + data.draw(st.sampled_from([0, 4, 8, 12, 20])) * MINUTE
    found = []
    for opened in (memory, sqlite):
        with opened() as store:
            fold_all(pipeline, store, batches)
            before = contents(pipeline, store, world.versions)
            forget_expired(pipeline, store, watermark)
            found.append((before, contents(pipeline, store, world.versions), store.read([]).knowledge))
    assert found[0] == found[1]


@pipelines
@several
@given(data=st.data())
def test_parts_values_are_the_same_however_entities_are_dealt(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    events, asked = tables(pipeline, world.versions), asked_table(pipeline, world.requests)
    for view in pipeline.windows:
        counted, questions = rows(view, events, kept=keep(pipeline)), requests_of(view, asked)
        whole = compute(view, counted, questions)
        for parts in (2, 8):
            part, wanted = (
                row_hashes([table.column("key").combine_chunks()]) % parts for table in (counted, questions)
            )
            for number in range(parts):
                mine = wanted == number
                found = compute(view, counted.filter(part == number), questions.filter(mine))
                for name, (values, valid) in found.items():
                    assert values.tobytes() == whole[name][0][mine].tobytes()
                    assert valid.tolist() == whole[name][1][mine].tolist()


@pytest.mark.parametrize("pipeline", [shop(), clinic(), sensors(), bazaar()], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_empty_long_after_the_last_event_a_window_is_as_if_there_had_been_none(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    later = [replace(asked, time=asked.time + FAR) for asked in world.requests]
    whole, none = (
        as_values(pipeline, vectors(pipeline, tables(pipeline, versions), asked_table(pipeline, later)))
        for versions in (world.versions, [])
    )
    for view in pipeline.windows:
        for feature in view.functions:
            name = f"{view.name}__{feature.name}"
            if view.window(feature) != LIFETIME:
                assert [column.tobytes() for column in whole[name]] == [column.tobytes() for column in none[name]]
