"""What is related to a request is all that its vector needs."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.pipeline import Pipeline
from sluice.engine.vectors import as_values, pack, vectors
from sluice.monitor.related import Related
from tests.properties import examples
from tests.sluice.engine.oracle import Asked, Version
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.worlds import START, World, asked_table, tables, worlds

pytestmark = pytest.mark.unit

SHOP = shop()
ORDER = {"customer": 1, "till": "a", "amount": 1, "items": 1, "gift": None, "channel": None, "country": None}


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@settings(max_examples=examples(60))
@given(data=st.data())
def test_the_related_events_alone_give_the_same_vectors(pipeline: Pipeline, data: st.DataObject) -> None:
    world: World = data.draw(worlds(pipeline))
    events, requests = tables(pipeline, world.versions), asked_table(pipeline, world.requests)
    some = np.array(data.draw(st.lists(st.integers(0, len(requests) - 1), min_size=1, unique=True)))

    found = Related(pipeline, events, requests).rows(some)

    chosen = {name: table.take(pa.array(found[name])) for name, table in events.items()}
    asked = requests.take(pa.array(some))
    assert packed(pipeline, chosen, asked) == packed(pipeline, events, asked)


def packed(pipeline: Pipeline, events: dict[str, pa.Table], requests: pa.Table) -> list[bytes]:
    return pack(pipeline, as_values(pipeline, vectors(pipeline, events, requests)))


def related(versions: list[Version], *customers: int | None) -> dict[str, list[int]]:
    events = tables(SHOP, versions)
    requests = asked_table(SHOP, [Asked(START, 1, {**ORDER, "customer": who, "till": None}) for who in customers])
    rows = Related(SHOP, events, requests).rows(np.arange(len(customers)))
    return {name: places.tolist() for name, places in rows.items()}


def order(id_: int, customer: int | None, revision: int = 0) -> Version:
    return Version("orders", id_, START, {**ORDER, "customer": customer}, hash=id_, revision=revision)


def claim(id_: int, about: int | None, revision: int = 0) -> Version:
    values = {"order_id": about, "is_bad": 1, "cost": 0}
    return Version("claims", id_, START, values, hash=id_, revision=revision)


def test_only_the_entities_of_the_requests_matter() -> None:
    assert related([order(1, 7), order(2, 8), claim(1, 1), claim(2, 2)], 8) == {"orders": [1], "claims": [1]}


def test_an_event_that_moved_to_another_entity_is_seen_whole() -> None:
    assert related([order(1, 7), order(1, 8, revision=1)], 7)["orders"] == [0, 1]


def test_a_teller_that_moved_to_another_event_is_seen_whole() -> None:
    versions = [order(1, 7), order(2, 8), claim(5, 1), claim(5, 2, revision=1), claim(5, None, revision=2)]

    assert related(versions, 7) == {"orders": [0], "claims": [0, 1, 2]}


def test_null_is_no_entity() -> None:
    assert related([order(1, None), order(2, 8), claim(1, None)], None) == {"orders": [], "claims": []}
