"""Two packed vectors: which features differ, to the bit, and what the table of audits says of it."""

from __future__ import annotations

import json
import struct
from typing import Any

import orjson
import pytest

from sluice.monitor.audit import AUDITS, WHOLE, Audited, Served, audit_rows, differences, served_rows
from sluice.monitor.knowledge import Known
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.unit

NAMES = [place.name for place in pipeline.features]
WIDTH = 8 * len(NAMES)


def packed(**values: float | None) -> bytes:
    """A vector of zeros but for some values; None is null."""
    words, valid = b"", 0
    for index, place in enumerate(pipeline.features):
        value = values.get(place.name, 0)
        words += struct.pack("<d" if place.kind == "number" else "<q", 0 if value is None else value)
        valid |= (value is not None) << index
    return words + valid.to_bytes((len(NAMES) + 7) // 8, "little")


def test_equal_vectors_have_no_differences() -> None:
    assert differences(pipeline, packed(spend__count_1h=3), packed(spend__count_1h=3)) == {}


def test_features_that_differ_are_named_with_both_values() -> None:
    served = packed(spend__count_1h=3, spend__since_last=None, moment__channel=1)
    computed = packed(spend__count_1h=4, spend__since_last=2.5, moment__channel=0)

    assert differences(pipeline, served, computed) == {
        "spend__count_1h": (3.0, 4.0),
        "spend__since_last": (None, 2.5),
        "moment__channel": (1, 0),
    }


@pytest.mark.parametrize(
    ("one", "other"), [(0.0, -0.0), (0.1, 0.1 + 2**-56), (float("nan"), -float("nan"))], ids=["sign", "last bit", "nan"]
)
def test_a_single_bit_is_a_difference(one: float, other: float) -> None:
    assert list(differences(pipeline, packed(spend__mean_amount_6h=one), packed(spend__mean_amount_6h=other))) == [
        "spend__mean_amount_6h"
    ]


def test_a_null_is_not_zero() -> None:
    found = differences(pipeline, packed(spend__mean_amount_6h=None), packed(spend__mean_amount_6h=0))

    assert found == {"spend__mean_amount_6h": (None, 0.0)}


def test_bytes_that_are_no_vector_differ_as_a_whole() -> None:
    computed = packed()

    assert differences(pipeline, b"", computed) == {WHOLE: ("", computed.hex())}
    assert differences(pipeline, computed + b"\x00", computed) == {WHOLE: (computed.hex() + "00", computed.hex())}


def test_bits_that_belong_to_no_feature_differ_as_a_whole() -> None:
    computed = packed()
    served = computed[:-1] + bytes([computed[-1] | 0x80])

    assert list(differences(pipeline, served, computed)) == [WHOLE]


def row(**changes: Any) -> dict[str, Any]:
    knowledge = {"base": 3, "positions": {"payments.payments/0": 17}}
    own = {"request_id": "r", "event_id": "7", "event_time": 5, "definition": "d", "vector": b"v"}
    return {**own, "request": '{"payment_id":7}', "knowledge": json.dumps(knowledge), **changes}


def test_a_vector_that_several_models_scored_counts_once() -> None:
    found = served_rows([row(role="champion"), row(role="shadow")])

    assert found == [Served("r", "7", {"payment_id": 7}, 5, "d", 3, {"payments.payments/0": 17}, b"v")]


def test_a_vector_from_shards_knows_for_each_entity() -> None:
    of_card = {"base": 3, "positions": {"payments.payments/1": 17, "payments.disputes/0": 2}}
    found = served_rows([row(knowledge=json.dumps({"keys": {"card": of_card}, "tables": {"holidays": 1}}))])[0]

    assert found.knowledge.of("card") == Known(3, (("payments.disputes/0", 2), ("payments.payments/1", 17)))
    assert found.knowledge.of("shop") == Known(-1, ())
    assert found.tables == {"holidays": 1}
    assert served_rows([row()])[0].knowledge.of("card") == Known(3, (("payments.payments/0", 17),))


def test_two_vectors_of_one_event_are_two() -> None:
    rows = [
        row(),
        row(vector=b"w"),
        row(request=orjson.dumps({"payment_id": 7, "amount": 2}).decode()),
        row(event_id="8"),
    ]

    assert len(served_rows(rows)) == 4


def test_rows_of_the_table_name_the_features_and_both_values() -> None:
    served = served_rows([row()])[0]

    found = audit_rows([Audited(served, {}), Audited(served, {"spend__count_1h": (3.0, None)})], at=9)

    assert [item["equal"] for item in found] == [True, False]
    assert json.loads(found[1]["features"]) == {"spend__count_1h": ["3.0", "None"]}
    assert all(list(item) == AUDITS.names and item["at"] == 9 for item in found)
