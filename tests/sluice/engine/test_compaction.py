"""An entity that becomes cold and hot again keeps its values, and ends in the bytes that it would have had anyway."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.store import MemoryStore
from sluice.engine.tiles import COLD, HOT
from tests.sluice.engine.contents import contents, with_leaf
from tests.sluice.engine.folding import answered, fold_all
from tests.sluice.engine.oracle import DELETE, Asked, Version, packed_vector
from tests.sluice.engine.pipelines import bazaar, clinic
from tests.sluice.engine.worlds import JITTER, START, digest, payloads, several

pytestmark = pytest.mark.unit

BAZAAR, CLINIC = with_leaf(bazaar(), 2), with_leaf(clinic(), 2)
ROWS = 5
KEY = {"bazaar": 1, "clinic": "x"}


@st.composite
def sold(draw: st.DrawFn, pipeline: Pipeline) -> list[Version]:
    """Five events of one entity, around the minutes where slots begin."""
    stream = pipeline.events
    made = []
    for number in range(ROWS):
        values = draw(st.sampled_from(payloads(stream))) | {pipeline.keys[0]: KEY[pipeline.name]}
        time = START + draw(st.integers(0, 4)) * MINUTE + draw(JITTER)
        id_ = number if stream.id_type == "integer" else f"event {number}"
        made.append(Version(stream.name, id_, time, values, digest(time, values), known=time))
    return made


def kind(pipeline: Pipeline, store: MemoryStore) -> int:
    view = pipeline.windows[0]
    return store.read([(view.name, KEY[pipeline.name])]).heads[0][0]


def corrected(versions: Sequence[Version], revision: int, op: int) -> list[Version]:
    return [replace(one, revision=revision, op=op) for one in versions]


@pytest.mark.parametrize("pipeline", [BAZAAR, CLINIC], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_compaction_a_hot_entity_that_becomes_cold_and_back_ends_in_the_same_bytes(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    versions = data.draw(sold(pipeline))
    left = data.draw(st.integers(1, 2))
    gone = data.draw(st.permutations(versions))[left:]
    deleted, back = corrected(gone, 1, DELETE), corrected(gone, 2, 0)
    asked = [Asked(START + minute * MINUTE, None, versions[0].values) for minute in (1, 3, 5, 7)]
    store, again = MemoryStore(), MemoryStore()

    fold_all(pipeline, store, [versions])
    assert kind(pipeline, store) == HOT
    hot = answered(pipeline, store, asked)
    fold_all(pipeline, store, [deleted], start=1)
    assert kind(pipeline, store) == COLD
    assert answered(pipeline, store, asked) == [packed_vector(pipeline, one, [*versions, *deleted]) for one in asked]
    fold_all(pipeline, store, [[one] for one in back], start=2)

    assert kind(pipeline, store) == HOT
    assert answered(pipeline, store, asked) == hot
    fold_all(pipeline, again, [versions])
    found, expected = (contents(pipeline, one, versions) for one in (store, again))
    assert (found.heads, found.chunks) == (expected.heads, expected.chunks)


def test_an_entity_without_events_leaves_nothing_behind() -> None:
    values = payloads(BAZAAR.events)[0]
    versions = [Version("sales", number, START, values, number, known=START) for number in range(ROWS)]
    store = MemoryStore()
    fold_all(BAZAAR, store, [versions, corrected(versions, 1, DELETE)])
    found = contents(BAZAAR, store, versions)
    assert (found.heads, found.chunks, store._chunks) == ({}, {}, {})
