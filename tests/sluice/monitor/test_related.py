"""What is related to a request is all that its vector needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.durations import HOUR, MINUTE
from sluice.declare.operate import AS_SERVED, EVENT_TIME, KnowledgeTime
from sluice.declare.pipeline import Pipeline
from sluice.engine.vectors import as_values, pack, vectors
from sluice.monitor.related import Related
from tests.properties import examples
from tests.sluice.engine.oracle import Asked, Version, packed_vector
from tests.sluice.engine.pipelines import ALL, clinic, shop
from tests.sluice.engine.worlds import START, World, asked_table, digest, tables, worlds

pytestmark = pytest.mark.unit

SHOP = shop()
ORDER = {"customer": 1, "till": "a", "amount": 1, "items": 1, "gift": None, "channel": None, "country": None}


@pytest.mark.parametrize("knowledge", [EVENT_TIME, AS_SERVED])
@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@settings(max_examples=examples(30))
@given(data=st.data())
def test_the_related_events_alone_give_the_same_vectors(
    pipeline: Pipeline, knowledge: KnowledgeTime, data: st.DataObject
) -> None:
    world: World = data.draw(worlds(pipeline))
    events, requests = tables(pipeline, world.versions), asked_table(pipeline, world.requests)
    some = np.array(data.draw(st.lists(st.integers(0, len(requests) - 1), min_size=1, unique=True)))

    found = Related(pipeline, events, requests).rows(some)

    chosen = {name: table.take(pa.array(found[name])) for name, table in events.items()}
    asked = requests.take(pa.array(some))
    assert packed(pipeline, chosen, asked, knowledge) == packed(pipeline, events, asked, knowledge)


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
@settings(max_examples=examples(20))
@given(data=st.data())
def test_of_a_long_history_they_give_what_the_definition_says_of_all_of_it(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    """Two days with the same ids, so that an event has versions on both, and requests that reach one or both."""
    days: list[World] = [shifted(data.draw(worlds(pipeline)), day * 24 * HOUR) for day in range(2)]
    versions = [version for day in days for version in day.versions]
    asked = [request for day in days for request in day.requests]
    events, requests = tables(pipeline, versions), asked_table(pipeline, asked)
    some = np.array(data.draw(st.lists(st.integers(0, len(asked) - 1), min_size=1, max_size=3, unique=True)))

    found = Related(pipeline, events, requests).rows(some)

    chosen = {name: table.take(pa.array(found[name])) for name, table in events.items()}
    expected = [packed_vector(pipeline, asked[place], versions) for place in some]
    assert packed(pipeline, chosen, requests.take(pa.array(some))) == expected


def packed(
    pipeline: Pipeline, events: dict[str, pa.Table], requests: pa.Table, knowledge: KnowledgeTime = EVENT_TIME
) -> list[bytes]:
    return pack(pipeline, as_values(pipeline, vectors(pipeline, events, requests, knowledge=knowledge)))


def shifted(world: World, by: int) -> World:
    """The same world at another time."""
    versions = [
        replace(
            one,
            time=one.time + by,
            known=one.known + by,
            watermark=None if one.watermark is None else one.watermark + by,
            hash=digest(one.time + by, one.values),
        )
        for one in world.versions
    ]
    return World(versions, [replace(one, time=one.time + by) for one in world.requests])


def related(versions: list[Version], *customers: int | None) -> dict[str, list[int]]:
    return reached(versions, *(asked(0, who) for who in customers))


def reached(versions: list[Version], *requests: Asked) -> dict[str, list[int]]:
    rows = Related(SHOP, tables(SHOP, versions), asked_table(SHOP, requests)).rows(np.arange(len(requests)))
    return {name: places.tolist() for name, places in rows.items()}


def asked(at: int, customer: int | None = None, till: str | None = None) -> Asked:
    return Asked(START + at, None, {**ORDER, "customer": customer, "till": till})


def order(id_: int, customer: int | None, revision: int = 0, at: int = 0) -> Version:
    return Version("orders", id_, START + at, {**ORDER, "customer": customer}, hash=id_, revision=revision)


def claim(id_: int, about: int | None, revision: int = 0, at: int = 0) -> Version:
    values = {"order_id": about, "is_bad": 1, "cost": 0}
    return Version("claims", id_, START + at, values, hash=id_, revision=revision)


def test_only_the_entities_of_the_requests_matter() -> None:
    assert related([order(1, 7), order(2, 8), claim(1, 1), claim(2, 2)], 8) == {"orders": [1], "claims": [1]}


def test_an_event_that_moved_to_another_entity_is_seen_whole() -> None:
    assert related([order(1, 7), order(1, 8, revision=1)], 7)["orders"] == [0, 1]


def test_a_teller_that_moved_to_another_event_is_seen_whole() -> None:
    versions = [order(1, 7), order(2, 8), claim(5, 1), claim(5, 2, revision=1), claim(5, None, revision=2)]

    assert related(versions, 7) == {"orders": [0], "claims": [0, 1, 2]}


def test_null_is_no_entity() -> None:
    assert related([order(1, None), order(2, 8), claim(1, None)], None) == {"orders": [], "claims": []}


def test_what_no_window_of_the_entity_reaches_does_not_matter() -> None:
    """The longest window of a customer is 3min: an event has left it that long before, and has not come after."""
    versions = [order(at, 7, at=at * MINUTE) for at in range(8)] + [claim(1, 1)]

    assert reached(versions, asked(6 * MINUTE - 1, 7)) == {"orders": [3, 4, 5], "claims": []}


def test_an_event_that_moved_to_another_time_is_seen_whole() -> None:
    versions = [order(1, 7), order(1, 7, revision=1, at=24 * HOUR), order(2, 7)]

    assert reached(versions, asked(24 * HOUR, 7)) == {"orders": [0, 1], "claims": []}


@pytest.mark.parametrize("apart", [7 * MINUTE, -7 * MINUTE])
def test_a_claim_in_a_window_is_found_by_an_order_as_far_from_it_as_they_belong_together(apart: int) -> None:
    """The longest horizon of the views is 7min, and the window over the claims of a till 2min."""
    versions = [order(1, 7, at=apart), claim(5, 1)]

    assert reached(versions, asked(2 * MINUTE - 1, till="a")) == {"orders": [0], "claims": [0]}


def test_requests_of_one_entity_find_each_event_once() -> None:
    versions = [order(at, 7, at=at * MINUTE) for at in (5, 0, 1, 9, 2)]
    times = (9 * MINUTE, 2 * MINUTE, MINUTE, 2 * MINUTE)

    assert reached(versions, *(asked(at, 7) for at in times)) == {"orders": [1, 2, 3, 4], "claims": []}


def test_a_window_that_ends_before_the_request_reaches_as_much_further_back() -> None:
    """Of a ward the longest window is 2min, and ends 1min before the request."""
    pipeline, values = clinic(), {"patient": None, "ward": 1, "cost": 1, "relapse": None}
    values = {name: values[name] for name in pipeline.events.columns}
    visits = [Version("visits", f"v{at}", START + at, values, hash=at) for at in (0, 1)]
    requests = asked_table(pipeline, [Asked(START + 3 * MINUTE, None, values)])

    rows = Related(pipeline, tables(pipeline, visits), requests).rows(np.array([0]))

    assert rows["visits"].tolist() == [0, 1]
