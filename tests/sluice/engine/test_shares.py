"""Which shard an entity belongs to, and which shards an event concerns."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.engine.facts import encoded_schema, to_facts
from sluice.engine.shares import Share, entity_keys, needed, part_of, shard_of, shards_of, wanders
from tests.sluice.stream import payments, refunds

pytestmark = pytest.mark.unit

CARD, SHOP = 7, "a"
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


def paid(**changes: object) -> pa.Table:
    own = {"_id": 1, "_time": 0, "_revision": 0, "_op": 0, "_hash": 1, "_known": 0, "_watermark": None}
    row = own | {"card": CARD, "shop": SHOP, "bank": None, "amount": 1, "channel": 0, "country": None} | changes
    return pa.Table.from_pylist([row], encoded_schema(payments.payments))


def test_the_part_of_a_key_never_changes() -> None:
    assert part_of(pa.array([0, 1, -1, 2**63 - 1, -(2**63), None]), 1000).tolist() == [575, 312, 421, 323, 673, 229]
    assert part_of(pa.chunked_array([["", "a"], ["é", None]]), 1000).tolist() == [642, 605, 965, 229]


@given(keys=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=5), parts=st.integers(1, 64))
def test_the_shard_of_one_number_is_its_part_among_many(keys: list[int], parts: int) -> None:
    assert [shard_of(key, parts) for key in keys] == part_of(pa.array(keys, pa.int64()), parts).tolist()


@given(
    keys=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=5), parts=st.integers(1, 64)
)
def test_the_shard_of_one_text_is_its_part_among_many(keys: list[str], parts: int) -> None:
    assert [shard_of(key, parts) for key in keys] == part_of(pa.array(keys, pa.string()), parts).tolist()


def test_a_share_has_the_rows_of_its_keys() -> None:
    table = pa.table({"key": pa.array([*range(50), None], pa.int64())})
    parts = [Share(number, 3).rows(table).column("key").to_pylist() for number in range(3)]
    assert sorted(key for part in parts for key in part if key is not None) == list(range(50))
    assert [{shard_of(key, 3) for key in part if key is not None} for part in parts] == [{0}, {1}, {2}]


def test_the_entities_of_a_stream_are_its_views_and_those_that_others_take_from_it() -> None:
    pipeline = payments.pipeline
    # reports are over disputes, and take the shop from the payment
    assert entity_keys(pipeline, payments.payments) == ("card", "shop")
    assert entity_keys(pipeline, payments.disputes) == ("bank",)
    assert entity_keys(refunds.pipeline, payments.payments) == ("card", "shop")


def test_what_is_told_under_an_id_of_its_own_wanders() -> None:
    assert [wanders(stream) for stream in (payments.payments, payments.disputes, refunds.refunds)] == [
        False,
        True,
        False,
    ]


def test_an_event_concerns_the_shards_of_its_entities() -> None:
    expected = {shard_of(CARD, 8), shard_of(SHOP, 8)}
    found = shards_of(payments.pipeline, payments.payments, paid(), 8)
    assert {int(shard) for shard in found[0].nonzero()[0]} == expected
    alone = shards_of(payments.pipeline, payments.payments, paid(card=None), 8)
    assert alone[0].nonzero()[0].tolist() == [shard_of(SHOP, 8)]


def test_an_event_is_needed_where_any_of_its_versions_has_an_entity() -> None:
    moved = paid(card=8, _revision=1, _hash=2)
    facts = to_facts(payments.payments, pa.concat_tables([paid(), moved]))
    found = needed(payments.pipeline, facts, 64)
    assert found[1].nonzero()[0].tolist() == sorted({shard_of(key, 64) for key in (CARD, 8, SHOP)})
