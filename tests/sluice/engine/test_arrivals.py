"""What a vector knows as it was served: nothing that arrived after its time, whatever arrived later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.arrivals import ARRIVED, counted, first_told, rows_as_served
from sluice.engine.history import keep, rows
from sluice.engine.layout import FOREVER
from sluice.engine.vectors import as_values, pack, vectors
from tests.sluice.engine.folding import assert_same_bits
from tests.sluice.engine.oracle import DELETE, Asked, Version, packed_vector
from tests.sluice.engine.pipelines import ALL, shop
from tests.sluice.engine.worlds import (
    START,
    World,
    asked_table,
    crowded,
    several,
    table,
    tables,
    told_worlds,
    worlds,
)

pytestmark = pytest.mark.unit
pipelines = pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)

SHOP = shop()
LONG = 10 * MINUTE
ORDER = Version(
    "orders",
    1,
    START,
    {"customer": 5, "till": "a", "amount": 150, "items": 2, "gift": 0, "channel": 0, "country": None},
    hash=10,
    known=START,
)
CLAIM = Version("claims", 9, START + MINUTE, {"order_id": 1, "is_bad": 1, "cost": 0}, hash=20, known=START + MINUTE)


def as_served(pipeline: Pipeline, world: World) -> list[bytes]:
    asked = asked_table(pipeline, world.requests)
    found = vectors(pipeline, tables(pipeline, world.versions), asked, knowledge="as_served")
    return pack(pipeline, as_values(pipeline, found))


def by_arrival(pipeline: Pipeline, world: World) -> list[bytes]:
    """The definition, word for word: the vector of what was known by the request's time."""
    return [
        packed_vector(pipeline, asked, [version for version in world.versions if version.known <= asked.time])
        for asked in world.requests
    ]


@pipelines
@several
@given(data=st.data())
def test_a_vector_as_served_has_the_bits_of_what_had_arrived_by_its_time(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    assert_same_bits(pipeline, as_served(pipeline, world), by_arrival(pipeline, world))


@pytest.mark.parametrize("pipeline", ALL[:2], ids=lambda pipeline: pipeline.name)
@several
@given(data=st.data())
def test_a_label_counts_as_it_had_been_told_by_then_of_the_event_as_it_was_then(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(told_worlds(pipeline))
    assert_same_bits(pipeline, as_served(pipeline, world), by_arrival(pipeline, world))


@pipelines
@several
@given(seed=st.integers(0, 2**32))
def test_events_on_their_way_are_unknown_to_the_requests_that_they_were_on_their_way_for(
    pipeline: Pipeline, seed: int
) -> None:
    world = crowded(pipeline, seed)
    assert_same_bits(pipeline, as_served(pipeline, world), by_arrival(pipeline, world))


@pipelines
@several
@given(data=st.data())
def test_what_arrived_at_another_moment_than_it_was_known_is_seen_from_its_arrival(
    pipeline: Pipeline, data: st.DataObject
) -> None:
    world = data.draw(worlds(pipeline))
    moments = st.sampled_from([-(2**63), START, START + MINUTE, START + 3 * MINUTE, 2**62])
    arrived = {version: data.draw(moments) for version in world.versions}
    events = {
        stream.name: table(stream, mine).append_column(ARRIVED, pa.array([arrived[v] for v in mine], pa.int64()))
        for stream in pipeline.streams
        for mine in [[version for version in world.versions if version.stream == stream.name]]
    }
    found = vectors(pipeline, events, asked_table(pipeline, world.requests), knowledge="as_served")
    expected = [
        packed_vector(pipeline, asked, [version for version in world.versions if arrived[version] <= asked.time])
        for asked in world.requests
    ]
    assert_same_bits(pipeline, pack(pipeline, as_values(pipeline, found)), expected)


@pipelines
@several
@given(data=st.data())
def test_where_everything_arrives_as_it_happens_nothing_is_different(pipeline: Pipeline, data: st.DataObject) -> None:
    world = data.draw(worlds(pipeline))
    once = {version.id: replace(version, known=version.time) for version in world.versions}
    prompt = World(list(once.values()), world.requests)
    asked = asked_table(pipeline, prompt.requests)
    everything = vectors(pipeline, tables(pipeline, prompt.versions), asked)
    assert as_served(pipeline, prompt) == pack(pipeline, as_values(pipeline, everything))


def spans(view: str, *versions: Version) -> list[tuple[object, ...]]:
    """(key, minutes since START, id, from when, until when, weight, values…) of each row, in minutes."""
    chosen = SHOP.view(view)
    found = rows_as_served(chosen, tables(SHOP, versions), kept=keep(SHOP)).to_pylist()
    return [
        (
            row["key"],
            minutes(row["time"]),
            row["id"],
            minutes(row["known"]),
            None if row["until"] == FOREVER else minutes(row["until"]),
            row.get("weight", 1),
            *(row[name] if row["flags"] >> bit & 1 else None for bit, name in enumerate(chosen.value_columns)),
        )
        for row in found
    ]


def minutes(moment: int) -> float:
    return (moment - START) / MINUTE


def order(at: float, **changes: object) -> Version:
    """The order, or another version of it, as it arrives so many minutes after it was made."""
    values = {**ORDER.values, **{name: changes.pop(name) for name in list(changes) if name in ORDER.values}}
    return replace(ORDER, values=values, known=START + int(at * MINUTE), **changes)


def claim(at: float, **changes: object) -> Version:
    values = {**CLAIM.values, **{name: changes.pop(name) for name in list(changes) if name in CLAIM.values}}
    return replace(CLAIM, values=values, known=START + int(at * MINUTE), **changes)


def test_an_event_is_known_from_its_arrival_for_ever() -> None:
    assert spans("till", order(2)) == [("a", 0.0, 1, 2.0, None, 1, 150)]


def test_a_correction_is_known_from_its_arrival_and_what_it_replaces_until_then() -> None:
    assert spans("till", order(0), order(3, revision=1, amount=99)) == [
        ("a", 0.0, 1, 0.0, 3.0, 1, 150),
        ("a", 0.0, 1, 3.0, None, 1, 99),
    ]


def test_what_arrives_after_its_own_correction_never_counted() -> None:
    assert spans("till", order(3), order(0, revision=1, amount=99)) == [("a", 0.0, 1, 0.0, None, 1, 99)]


def test_a_deleted_event_counted_until_the_delete_arrived() -> None:
    gone = order(4, revision=1, op=DELETE)
    assert spans("till", order(0), gone) == [("a", 0.0, 1, 0.0, 4.0, 1, 150)]
    assert spans("till", order(0), gone, order(6, revision=2)) == [
        ("a", 0.0, 1, 0.0, 4.0, 1, 150),
        ("a", 0.0, 1, 6.0, None, 1, 150),
    ]


def test_a_moved_event_leaves_its_first_entity_when_the_correction_arrives() -> None:
    moved = order(3, revision=1, till="b")
    assert spans("till", order(0), moved) == [("a", 0.0, 1, 0.0, 3.0, 1, 150), ("b", 0.0, 1, 3.0, None, 1, 150)]


def test_a_conflict_is_settled_when_its_greater_hash_arrives() -> None:
    assert spans("till", order(0), order(2, hash=-1, amount=99)) == [
        ("a", 0.0, 1, 0.0, 2.0, 1, 150),
        ("a", 0.0, 1, 2.0, None, 1, 99),
    ]


def test_a_version_that_came_too_late_for_a_view_replaces_nothing() -> None:
    late = order(9, revision=1, amount=99, watermark=START + 60 * MINUTE)
    assert spans("till", order(0), late) == [("a", 0.0, 1, 0.0, None, 1, 150)]


def test_of_copies_the_first_that_counts_is_when_it_was_known() -> None:
    expired = order(1, watermark=START + 60 * MINUTE)
    assert spans("till", expired, order(4), order(5)) == [("a", 0.0, 1, 4.0, None, 1, 150)]


def test_an_inherited_key_is_known_once_both_events_are() -> None:
    assert spans("reports", order(5), claim(1)) == [("a", 1.0, 9, 5.0, None, 1, 0)]
    moved = order(7, revision=1, till="b")
    assert spans("reports", order(5), moved, claim(6)) == [
        ("a", 1.0, 9, 6.0, 7.0, 1, 0),
        ("b", 1.0, 9, 7.0, None, 1, 0),
    ]
    assert spans("reports", order(0), order(3, revision=1, op=DELETE), claim(4)) == []


def test_a_label_of_an_event_that_came_late_counts_with_the_event() -> None:
    assert spans("risk", order(5), claim(1)) == [("a", 0.0, 1, 5.0, None, 1, 0), ("a", 0.0, 1, 5.0, None, 0, 1)]


def test_a_label_leaves_with_the_version_of_the_event_that_it_was_about() -> None:
    moved = order(6, revision=1, till="b")
    assert spans("risk", order(0), moved, claim(4)) == [
        ("a", 0.0, 1, 2.0, 6.0, 1, 0),
        ("a", 0.0, 1, 4.0, 6.0, 0, 1),
        ("b", 0.0, 1, 6.0, None, 1, 0),
        ("b", 0.0, 1, 6.0, None, 0, 1),
    ]


def test_a_label_told_by_a_late_and_by_an_expired_copy_is_known_with_the_copy_that_counts() -> None:
    expired = claim(1, watermark=START + 60 * MINUTE)
    assert spans("risk", order(0), expired, claim(4))[1:] == [("a", 0.0, 1, 4.0, None, 0, 1)]


def test_the_request_about_an_event_is_made_with_what_was_told_of_it_first() -> None:
    told = [order(0), order(3, revision=1, amount=99), order(5, revision=2, amount=98)]
    told += [replace(order(2), id=2), replace(order(1), id=2, revision=1, op=DELETE)]
    told += [replace(order(4, amount=7), id=3), replace(order(4, amount=8), id=3, revision=1)]
    found = first_told(table(SHOP.events, told))
    assert list(zip(found["_id"].to_pylist(), found["amount"].to_pylist(), strict=True)) == [(1, 150), (3, 8)]


def test_a_late_a_corrected_and_a_deleted_event_are_what_the_two_knowledges_differ_by() -> None:
    prompt, late, corrected, deleted = (replace(order(0), id=number) for number in (1, 2, 3, 4))
    late = replace(late, known=START + 2 * MINUTE)
    changes = [
        replace(corrected, revision=1, known=START + MINUTE, values={**ORDER.values, "amount": 750}),
        replace(deleted, revision=1, known=START + MINUTE, op=DELETE),
    ]
    versions = [prompt, late, corrected, deleted, *changes]
    asked = [Asked(START + seconds * 1_000_000, None, ORDER.values) for seconds in (1, 59, 90, 120, 150)]

    def told(knowledge: str) -> dict[str, Sequence[float | None]]:
        events, requests = tables(SHOP, versions), asked_table(SHOP, asked)
        found = vectors(SHOP, events, requests, knowledge=knowledge)
        return {name: found[f"customer__{name}"].to_pylist() for name in ("count_3min", "mean_amount_3min")}

    # each request counts itself, an order of 1.50
    assert told("event_time") == {
        "count_3min": [4.0] * 5,
        "mean_amount_3min": [(1.5 * 3 + 7.5) / 4] * 5,
    }
    assert told("as_served") == {
        "count_3min": [4.0, 4.0, 3.0, 4.0, 4.0],
        "mean_amount_3min": [1.5, 1.5, (1.5 * 2 + 7.5) / 3, 3.0, 3.0],
    }


@pytest.mark.parametrize("view", SHOP.windows, ids=lambda view: view.name)
def test_rows_as_served_look_like_rows_with_a_span(view: object) -> None:
    plain = rows(view, tables(SHOP, []), kept=keep(SHOP))
    found = counted(view, tables(SHOP, []), kept=keep(SHOP), knowledge="as_served")
    assert len(found) == 0
    assert set(found.column_names) == {*plain.column_names, "known", "until"}
    assert counted(view, tables(SHOP, []), kept=keep(SHOP), knowledge="event_time").equals(plain)
