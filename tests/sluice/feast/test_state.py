from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.build import build
from sluice.engine.fold import load_base
from sluice.engine.history import keep, rows
from sluice.engine.read import Held, read_tiles, view_values
from sluice.engine.requests import Moment
from sluice.engine.store import MemoryStore
from sluice.errors import DataError
from sluice.feast.state import pack_tiles, unpack_tiles
from tests.properties import examples
from tests.sluice.engine.pipelines import ALL
from tests.sluice.engine.worlds import KEYS, START, World, asked_table, tables, worlds

pytestmark = pytest.mark.unit
chunks = st.dictionaries(st.integers(-(2**63), 2**63 - 1), st.binary(), max_size=5)


@given(held=st.builds(Held, st.one_of(st.none(), st.binary(min_size=1)), chunks))
def test_tiles_come_back_bit_for_bit(held: Held) -> None:
    assert unpack_tiles(pack_tiles(held), where="here") == held


@pytest.mark.parametrize("other", [None, b"", b"SLT", b"hello world"])
def test_other_bytes_are_refused(other: bytes | None) -> None:
    with pytest.raises(DataError, match="not the tiles of an entity"):
        unpack_tiles(other, where="customer_spend_state")


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@settings(max_examples=examples(30), suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_the_whole_state_of_an_entity_gives_what_the_tiles_of_a_moment_give(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    store = loaded(pipeline, world)
    requests = asked_table(pipeline, world.requests)
    moments = [Moment(asked.time, asked.id) for asked in world.requests]
    for view in pipeline.windows:
        keys = requests.column(view.of).to_pylist()
        narrow, _ = read_tiles(store, [(view, key, moment) for key, moment in zip(keys, moments, strict=True)])
        whole, _ = read_tiles(store, [(view, key, None) for key in keys])
        carried = [unpack_tiles(pack_tiles(held), where=view.name) for held in whole]
        left = view_values(view, narrow, moments, requests)
        right = view_values(view, carried, moments, requests)
        for name, (values, valid) in left.items():
            assert np.array_equal(valid, right[name][1])
            assert np.array_equal(values[valid].view(np.int64), right[name][0][valid].view(np.int64))


def loaded(pipeline: Pipeline, world: World) -> MemoryStore:
    store = MemoryStore()
    events = tables(pipeline, world.versions)
    built = {view.name: build(view, rows(view, events, kept=keep(pipeline))) for view in pipeline.windows}
    load_base(pipeline, store, 1, built, events)
    return store


def test_a_missing_key_wants_the_empty_state() -> None:
    view = ALL[0].windows[0]
    assert read_tiles(MemoryStore(), [(view, KEYS["integer"][-1], Moment(START, None))])[0] == [Held(None, {})]
