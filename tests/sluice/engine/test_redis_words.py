"""What is written to Redis is read back as it was, and the same things are the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.engine.redis_facts import packed, unpacked
from sluice.engine.redis_words import EMPTY, Names, State, chunk_field, field_of, id_of, parts, read_state, written
from sluice.engine.store import Fact, Knowledge, Position

pytestmark = pytest.mark.unit

INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = st.one_of(INT64, st.text())
FACTS = st.builds(
    Fact,
    anchor=st.just(7),
    stream=st.sampled_from(["orders", "claims"]),
    id=IDS,
    revision=INT64,
    hash=INT64,
    op=st.sampled_from([0, 1]),
    time=INT64,
    known=INT64,
    watermark=st.none() | INT64,
    values=st.binary(),
)


@given(st.lists(IDS, unique_by=lambda identity: (type(identity), identity)))
def test_ids_are_told_apart_by_their_fields(ids: list[int | str]) -> None:
    fields = [field_of(identity) for identity in ids]
    assert [(type(found), found) for found in map(id_of, fields)] == [(type(one), one) for one in ids]
    assert len(set(fields)) == len(ids)


@given(IDS, IDS, INT64, INT64)
def test_chunks_are_told_apart_by_their_fields(key: int | str, other: int | str, start: int, later: int) -> None:
    same = (type(key), key, start) == (type(other), other, later)
    assert (chunk_field(key, start) == chunk_field(other, later)) == same


@given(st.lists(FACTS, min_size=1))
def test_facts_come_back_as_they_were_and_their_order_makes_no_difference(facts: list[Fact]) -> None:
    body = packed(facts)
    assert sorted(unpacked(7, body), key=repr) == sorted(facts, key=repr)
    assert packed(facts[::-1]) == body


@given(FACTS, INT64)
def test_the_beginning_of_a_value_says_whether_anything_in_it_is_older(fact: Fact, time: int) -> None:
    cut = packed([fact._replace(time=time)])[:8]
    assert (packed([fact]) < cut) == (fact.time < time)


def test_the_knowledge_comes_back_as_it_was() -> None:
    positions = {("fraud.payments", 0): Position(5, None), ("fraud.payments", 11): Position(2**40, -3)}
    state = State(3, 2**40, Knowledge(12, positions))
    assert read_state(written(state)) == state
    assert read_state(None) == read_state(written(EMPTY)) == State(0, 0, Knowledge(-1, {}))
    assert read_state(b"[1,0,0,-1,[]]") is None


def test_all_keys_of_a_pipeline_have_its_name_in_braces_and_no_other() -> None:
    names = Names("fr{au}d:1")
    keys = names.of(3)
    assert keys.all(["spend"]) == [
        "sluice:{fr%7Bau%7Dd%3A1}:3:heads:spend",
        "sluice:{fr%7Bau%7Dd%3A1}:3:chunks:spend",
        "sluice:{fr%7Bau%7Dd%3A1}:3:facts",
        "sluice:{fr%7Bau%7Dd%3A1}:3:elsewhere",
        "sluice:{fr%7Bau%7Dd%3A1}:3:views",
    ]
    assert names.all == "sluice:{fr%7Bau%7Dd%3A1}:*"


def test_parts_are_all_of_a_list_in_its_order() -> None:
    assert list(parts(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(parts([], 2)) == []
