from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo import fraud, handbook
from serve.requests import MOST_BYTES, MOST_EVENTS, Batch, Refusal, RequestReader
from serve.rules import problems
from sluice.clock import HandClock
from sluice.declare.columns import Category
from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import encode_column
from sluice.lake.contract import BRONZE, check
from sluice.lake.typing import type_column
from tests.properties import examples
from tests.sluice.engine import pipelines

pytestmark = pytest.mark.unit

NOW = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z
EVENT = {
    "transaction_id": 12,
    "event_time": "2026-01-01T08:30:00Z",
    "customer_id": 3,
    "terminal_id": 4,
    "amount": 12.34,
    "channel": "pos",
    "country": "DE",
}


def reader(pipeline: Pipeline = fraud.pipeline) -> RequestReader:
    return RequestReader(pipeline, HandClock(NOW))


def read(*events: object, pipeline: Pipeline = fraud.pipeline) -> Batch | Refusal:
    return reader(pipeline).read(orjson.dumps({"events": events}))


def refused(*events: object) -> list[tuple[int | None, str, str]]:
    found = read(*events)
    assert isinstance(found, Refusal)
    assert found.status == 422
    return [(problem.index, problem.field, problem.rule) for problem in found.problems]


def accepted(*events: object, pipeline: Pipeline = fraud.pipeline) -> Batch:
    found = read(*events, pipeline=pipeline)
    assert isinstance(found, Batch), found
    return found


def test_a_text_that_does_not_look_as_declared_is_refused_with_the_pattern() -> None:
    events = fraud.pipeline.events
    columns = {**events.columns, "country": Category(pattern="[A-Z]{2}", nullable=True)}
    rows = [{"country": "DE"}, {"country": "Germany"}, {"country": None}]
    typed = {"country": type_column(events, "country", [row["country"] for row in rows])}
    encoded = {"country": encode_column(typed["country"].values, columns["country"])}
    found = problems(replace(events, columns=columns), rows, typed, encoded)
    assert [(one.index, one.field, one.rule, one.value, one.allowed) for one in found] == [
        (1, "country", "pattern", "'Germany'", "a text like [A-Z]{2}")
    ]


def test_a_good_event_is_encoded_as_history_would_be() -> None:
    batch = accepted(EVENT)
    row = batch.encoded.to_pylist()[0]
    assert row["_id"] == 12
    assert row["_time"] == NOW + 510 * 60 * 1_000_000
    assert row["amount"] == 1234
    assert row["channel"] == 0
    assert (batch.segments, batch.keys) == (["pos"], [{"customer_id": 3, "terminal_id": 4}])


def test_an_event_without_a_time_happens_now_and_says_so_in_the_log() -> None:
    batch = accepted({**EVENT, "event_time": None}, {name: EVENT[name] for name in EVENT if name != "event_time"})
    assert batch.encoded.column("_time").to_pylist() == [NOW, NOW]
    assert [event["event_time"] for event in batch.events] == ["2026-01-01T00:00:00Z"] * 2


def test_an_event_without_an_id_comes_after_every_other() -> None:
    assert accepted({**EVENT, "transaction_id": None}).encoded.column("_id").to_pylist() == [None]


def test_a_missing_key_is_the_empty_state() -> None:
    batch = accepted({name: EVENT[name] for name in EVENT if name != "customer_id"})
    assert batch.keys == [{"customer_id": None, "terminal_id": 4}]


def test_a_pipeline_without_segments_has_one() -> None:
    event = {"transaction_id": 1, "event_time": "2018-04-01 00:00:31", "customer_id": 596, "amount": 57.16}
    assert accepted(event, pipeline=handbook.pipeline).segments == ["*"]


def test_fields_have_their_declared_names_whatever_the_source_calls_them() -> None:
    found = read({"TX_AMOUNT": 57.16}, pipeline=handbook.pipeline)
    assert isinstance(found, Refusal)
    assert {problem.rule for problem in found.problems} == {"unknown", "missing"}


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"transaction_id": "x"}, "transaction_id", "type"),
        ({"transaction_id": "--3"}, "transaction_id", "type"),
        ({"transaction_id": "9" * 5_000}, "transaction_id", "type"),
        ({"event_time": "yesterday"}, "event_time", "type"),
        ({"customer_id": 1.5}, "customer_id", "type"),
        ({"amount": "a lot"}, "amount", "type"),
        ({"amount": [1]}, "amount", "type"),
        ({"amount": 1e300}, "amount", "type"),
        ({"amount": None}, "amount", "missing"),
        ({"amount": 1.005}, "amount", "scale"),
        ({"amount": -0.01}, "amount", "range"),
        ({"amount": 100_000.01}, "amount", "range"),
        ({"channel": "moon"}, "channel", "category"),
        ({"channel": 3}, "channel", "type"),
        ({"country": None}, "country", "missing"),
        ({"custmer_id": 3}, "custmer_id", "unknown"),
    ],
)
def test_a_breach_is_named(change: dict[str, object], field: str, rule: str) -> None:
    assert refused({**EVENT, **change}) == [(0, field, rule)]


def test_every_breach_of_every_event_is_told_in_order() -> None:
    bad = {**EVENT, "amount": -1, "channel": "moon", "extra": 1}
    assert refused(EVENT, bad, 7, {**EVENT, "country": None}) == [
        (1, "extra", "unknown"),
        (1, "amount", "range"),
        (1, "channel", "category"),
        (2, "", "json"),
        (3, "country", "missing"),
    ]


def test_a_misspelt_field_is_told_the_nearest_one() -> None:
    found = read({**EVENT, "custmer_id": 3})
    assert isinstance(found, Refusal)
    assert found.problems[0].allowed == "customer_id"


def test_a_long_value_is_told_back_shortened() -> None:
    found = read({**EVENT, "channel": "x" * 10_000})
    assert isinstance(found, Refusal)
    assert len(found.problems[0].value) == 80


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (b"", 400, "json"),
        (b"\xff\xfe", 400, "json"),
        (b"[]", 400, "json"),
        (b'{"events": {}}', 400, "json"),
        (b'{"events": [{"amount": NaN}]}', 400, "json"),
        (b'{"events": [], "model": "x"}', 400, "unknown"),
        (b'{"events": []}', 422, "range"),
        (b"[" * 5_000, 400, "json"),
        (b" " * (MOST_BYTES + 1), 400, "size"),
        (orjson.dumps({"events": [EVENT] * (MOST_EVENTS + 1)}), 422, "range"),
    ],
)
def test_a_request_that_is_none_is_refused_as_a_whole(body: bytes, status: int, rule: str) -> None:
    found = reader().read(body)
    assert isinstance(found, Refusal)
    assert (found.status, found.problems[0].rule, found.problems[0].index) == (status, rule, None)


SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["pos", "3", "+-3", "²", "1e400", "2026-01-01", "9999-12-31T23:59:59-14:00", "\x00", "\u0661"])
)
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner))
EVENTS = st.lists(
    JSON | st.dictionaries(st.sampled_from([*EVENT, "other"]), SCALARS | JSON) | st.just(EVENT), min_size=1, max_size=4
)


@given(EVENTS)
@settings(max_examples=examples(150))
def test_no_input_is_too_strange_to_be_answered(events: list[object]) -> None:
    assert isinstance(read(*events), Batch | Refusal)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_are_too_strange_to_be_answered(body: bytes) -> None:
    assert isinstance(reader().read(body), Refusal)


def near(pipeline: Pipeline) -> st.SearchStrategy[dict[str, Any]]:
    """Events of a pipeline, complete, most of them good."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name in pipeline.events.all_columns:
        column = pipeline.events.columns.get(name)
        good: st.SearchStrategy[Any] = st.integers(0, 90)
        if name == pipeline.events.time:
            good = st.just("2025-12-31T10:00:00Z")
        elif column is None:
            good = st.integers(1, 9) if pipeline.events.id_type == "integer" else st.sampled_from("abc")
        elif column.categories:
            good = st.sampled_from(column.categories)
        elif column.kind == "category" or getattr(column, "type", "") == "text":
            good = st.sampled_from(["a", "b"])
        odd = st.sampled_from([-1, 10**9, 0.123456, "zz", True]) | (st.none() if column is not None else st.just("zz"))
        fields[name] = st.one_of(good, good, good, good, good, odd)
    return st.fixed_dictionaries(fields)


@pytest.mark.parametrize("pipeline", [fraud.pipeline, *pipelines.ALL], ids=lambda pipeline: str(pipeline.name))
@given(data=st.data())
@settings(max_examples=examples(25))
def test_a_request_is_refused_exactly_when_ingest_refuses_the_row(pipeline: Pipeline, data: st.DataObject) -> None:
    rows = data.draw(st.lists(near(pipeline), min_size=1, max_size=5))
    found = read(*rows, pipeline=pipeline)
    serving = (
        {(problem.index, problem.rule, problem.field, problem.allowed) for problem in found.problems}
        if isinstance(found, Refusal)
        else set()
    )
    ingest = ingest_refusals(pipeline, rows)
    assert {index for index, *_ in serving} == {index for index, *_ in ingest}
    assert ingest <= serving


def ingest_refusals(pipeline: Pipeline, rows: list[dict[str, Any]]) -> set[tuple[int, str, str, str]]:
    count = len(rows)
    bronze = pa.table(
        {
            "payload": [json.dumps(row).encode() for row in rows],
            "source": ["s"] * count,
            "partition": [0] * count,
            "position": list(range(count)),
            "known": [NOW] * count,
            "revision": [0] * count,
            "op": [0] * count,
            "batch": ["b"] * count,
        },
        schema=BRONZE,
    )
    rejected = check(pipeline.events, bronze, batch="b").rejected.to_pylist()
    return {(row["position"], row["rule"], row["column"], row["allowed"]) for row in rejected}
