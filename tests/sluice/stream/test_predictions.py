"""The log of answers: a row of the table is what was written, bit for bit, and garbage is kept apart."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.stream.memory import MemoryRecord
from sluice.stream.predictions import (
    PREDICTIONS,
    MemoryLog,
    Prediction,
    encode_prediction,
    prediction_row,
    prediction_rows,
)

pytestmark = pytest.mark.unit

words = st.binary(max_size=60)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), names
)
micros = st.integers(0, 2**53)
predictions = st.builds(
    Prediction,
    request_id=names,
    event_id=names,
    event_time=micros,
    answered=micros,
    request=st.dictionaries(names, values, max_size=4),
    keys=st.dictionaries(names, values, max_size=2),
    knowledge=st.fixed_dictionaries({"base": st.integers(-1, 99), "positions": st.dictionaries(names, micros)}),
    definition=names,
    segment=names,
    model=names,
    version=names,
    role=st.sampled_from(["champion", "canary", "shadow", "fallback"]),
    score=st.floats(0, 1),
    decision=names,
    degraded=st.booleans(),
    vector=words,
    latency_us=micros,
)


def record(payload: bytes | None, offset: int = 0) -> MemoryRecord:
    return MemoryRecord("payments.predictions", 0, offset, 12, payload)


@given(predictions, st.integers(0, 2**40))
def test_a_row_is_what_was_written(prediction: Prediction, position: int) -> None:
    row = prediction_row(encode_prediction(prediction), position)

    texts = {name: orjson.loads(row[name]) for name in ("request", "keys", "knowledge")}
    assert Prediction(**{**{name: row[name] for name in row if name != "position"}, **texts}) == prediction
    assert row["position"] == position


@given(st.lists(predictions, max_size=4))
def test_rows_have_the_schema_of_the_table(written: list[Prediction]) -> None:
    records = [record(encode_prediction(prediction), offset) for offset, prediction in enumerate(written)]

    rows, refused = prediction_rows(records)

    assert rows.schema == PREDICTIONS
    assert rows.to_pylist() == [prediction_row(r.value or b"", r.offset) for r in records]
    assert len(refused) == 0


def test_a_score_keeps_its_bits() -> None:
    score = struct.unpack("<d", b"\x9a\x99\x99\x99\x99\x99\xb9\x3f")[0]

    assert prediction_row(encode_prediction(answer(score=score)), 0)["score"].hex() == score.hex()


def test_a_model_that_could_not_score_has_no_score() -> None:
    assert prediction_row(encode_prediction(answer(score=float("nan"))), 0)["score"] is None


GARBAGE = {
    "no JSON": b"{",
    "nothing": b"",
    "no object": b"[1]",
    "a field missing": orjson.dumps({"request_id": "r"}),
    "a vector that is no base64": b'{"vector": "*"}',
}


@pytest.mark.parametrize("payload", [*GARBAGE.values()], ids=[*GARBAGE])
def test_what_is_no_answer_is_kept_apart_with_its_place(payload: bytes) -> None:
    good = encode_prediction(answer())

    rows, refused = prediction_rows([record(good, 5), record(payload, 6), record(good, 7), record(None, 8)])

    assert rows.column("position").to_pylist() == [5, 7]
    assert refused.column("position").to_pylist() == [6, 8]
    assert refused.to_pylist()[0] == {
        "payload": payload,
        "problem": refused.column("problem")[0].as_py(),
        "source": "kafka:payments.predictions",
        "partition": 0,
        "position": 6,
        "known": 12_000,
    }


@pytest.mark.parametrize(
    "wrong", [{"score": "high"}, {"event_time": 2**63}, {"request": None}, {"knowledge": [1]}, {"degraded": "no"}]
)
def test_an_answer_with_a_value_of_another_type_is_none(wrong: dict[str, Any]) -> None:
    payload = orjson.dumps({**orjson.loads(encode_prediction(answer())), **wrong})

    rows, refused = prediction_rows([record(payload)])

    assert (len(rows), len(refused)) == (0, 1)


def test_the_memory_log_keeps_what_it_is_given() -> None:
    log = MemoryLog()

    log.write([answer()])
    log.write(answer(score=score) for score in (0.25, 0.75))
    log.close()

    assert [each.score for each in log.written] == [0.5, 0.25, 0.75]


def test_the_table_holds_everything_that_an_answer_has() -> None:
    assert set(PREDICTIONS.names) == {*Prediction.__dataclass_fields__, "position"}
    assert PREDICTIONS.field("vector").type == pa.binary()


def answer(score: float = 0.5) -> Prediction:
    return Prediction(
        request_id="r",
        event_id="7",
        event_time=1,
        answered=2,
        request={"payment_id": 7},
        keys={"card": 1},
        knowledge={"base": 0, "positions": {"payments.payments/0": 3}},
        definition="d",
        segment="pos",
        model="payments-pos",
        version="1",
        role="champion",
        score=score,
        decision="approve",
        degraded=False,
        vector=b"\x00\x01",
        latency_us=3,
    )
