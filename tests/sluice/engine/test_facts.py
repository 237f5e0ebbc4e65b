from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.facts import encoded_schema, id_type, to_facts, to_tables
from tests.sluice.engine.pipelines import ALL, clinic, sensors, shop
from tests.sluice.engine.worlds import several, tables, worlds

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_tables_of_facts_are_the_tables_they_came_from(pipeline: Pipeline, data: st.DataObject) -> None:
    before = tables(pipeline, data.draw(worlds(pipeline)).versions)
    facts = [fact for stream in pipeline.streams for fact in to_facts(stream, before[stream.name])]
    assert to_tables(pipeline, facts) == before


def test_a_fact_is_anchored_at_the_event_it_is_about_or_at_itself() -> None:
    pipeline = shop()
    order = {"_id": 4, "_time": 0, "_revision": 0, "_op": 0, "_hash": 0, "_known": 0, "_watermark": None}
    claims = pa.Table.from_pylist(
        [order | {"_id": 7, "order_id": 4}, order | {"_id": 8, "order_id": None, "_op": 1}],
        schema=encoded_schema(pipeline.stream("claims")),
    )
    orders = pa.Table.from_pylist([order], schema=encoded_schema(pipeline.events))
    assert [fact.anchor for fact in to_facts(pipeline.events, orders)] == [4]
    assert [fact.anchor for fact in to_facts(pipeline.stream("claims"), claims)] == [4, 8]


def test_ids_have_the_declared_type_and_positions_are_text() -> None:
    assert id_type(shop().events) == pa.int64()
    assert id_type(clinic().events) == pa.string()
    assert id_type(sensors().stream("readings")) == pa.string()
    assert encoded_schema(clinic().stream("visits_relapse")).field("visit_id").type == pa.string()
