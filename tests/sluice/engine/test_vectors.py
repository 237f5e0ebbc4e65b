from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.vectors import as_table, as_values, pack, unpack, vectors
from tests.sluice.engine.folding import assert_same_bits
from tests.sluice.engine.oracle import Asked, Version, packed_vector, vector
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.worlds import START, World, asked_table, digest, many, several, tables, told_worlds, worlds

pytestmark = pytest.mark.unit
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
GOLDEN = Path(__file__).parents[2] / "golden" / "vectors.json"


def bits(pipeline: Pipeline, world: World) -> list[bytes]:
    found = vectors(pipeline, tables(pipeline, world.versions), asked_table(pipeline, world.requests))
    return pack(pipeline, as_values(pipeline, found))


@pipelines
@many
@given(data=st.data())
def test_every_vector_has_the_bits_of_its_definition(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    expected = [packed_vector(pipeline, asked, world.versions) for asked in world.requests]
    assert_same_bits(pipeline, bits(pipeline, world), expected)


@pytest.mark.parametrize("pipeline", ALL[:2], ids=lambda pipeline: pipeline.name)
@many
@given(data=st.data())
def test_a_label_counts_from_the_moment_it_is_known_as_it_stands_then(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(told_worlds(pipeline))
    expected = [packed_vector(pipeline, asked, world.versions) for asked in world.requests]
    assert_same_bits(pipeline, bits(pipeline, world), expected)


@pipelines
@several
@given(data=st.data())
def test_arrival_order_and_copies_change_no_bit(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    shuffled = data.draw(st.permutations(world.versions))
    copies = data.draw(st.lists(st.sampled_from(shuffled), max_size=4)) if shuffled else []
    assert bits(pipeline, World([*shuffled, *copies], world.requests)) == bits(pipeline, world)


@pipelines
@several
@given(data=st.data())
def test_the_split_of_requests_changes_no_bit(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    alone = [bits(pipeline, World(world.versions, [asked]))[0] for asked in world.requests]
    assert alone == bits(pipeline, world)


def values_of(draw: st.DrawFn, pipeline: Pipeline, count: int) -> dict[str, Any]:
    """Any words at all: the bits of numbers too, NaN and negative zero among them."""
    result: dict[str, Any] = {}
    word = st.integers(-(2**63), 2**63 - 1)
    for place in pipeline.features:
        words = np.array(draw(st.lists(word, min_size=count, max_size=count)), np.int64)
        valid = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), bool)
        words = np.where(valid, words, 0)
        result[place.name] = (words if place.kind == "category" else words.view(np.float64), valid)
    return result


any_values = st.composite(values_of)


@pipelines
@several
@given(data=st.data())
def test_unpack_is_the_inverse_of_pack_to_the_bit(pipeline: Pipeline, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 3))
    values = data.draw(any_values(pipeline, count))
    packed = pack(pipeline, values)
    assert [len(row) for row in packed] == [8 * len(values) + (len(values) + 7) // 8] * count
    again = unpack(pipeline, packed)
    assert pack(pipeline, again) == packed
    for name, (value, valid) in values.items():
        assert again[name][0].dtype == value.dtype
        assert again[name][0].tobytes() == value.tobytes()
        assert again[name][1].tolist() == valid.tolist()


def test_a_table_of_vectors_has_null_where_a_place_is_empty_and_reads_back() -> None:
    pipeline = shop()
    asked = Asked(START, 1, dict.fromkeys(pipeline.events.columns) | {"items": 3, "channel": 1})
    found = vectors(pipeline, tables(pipeline, []), asked_table(pipeline, [asked]))
    assert found.to_pylist() == [dict(zip(found.column_names, vector(pipeline, asked, []), strict=True))]
    assert [found.schema.field(place.name).type for place in pipeline.features] == [
        "int64" if place.kind == "category" else "double" for place in pipeline.features
    ]
    assert as_table(pipeline, as_values(pipeline, found)) == found


def test_the_bits_are_those_of_the_first_release() -> None:
    """A change of these bits is a change of every model trained before it: it needs another definition."""
    pipeline = shop()
    golden = json.loads(GOLDEN.read_text())
    versions = [Version(**{**row, "hash": digest(row["time"], row["values"])}) for row in golden["versions"]]
    requests = [Asked(**row) for row in golden["requests"]]
    found = [row.hex() for row in bits(pipeline, World(versions, requests))]
    assert found == golden["vectors"] == [packed_vector(pipeline, asked, versions).hex() for asked in requests]
