from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from sluice import Category, Decimal, Key, Label, Pipeline, Request, Stream, Windows, count, cross, hour, ratio
from sluice.declare.loading import load_pipeline
from sluice.errors import UserError
from sluice.feast.requests import asked_of, columns_of, encode_keys, encode_requests, read_times, sources_of
from sluice.lake import requests as serving
from tests.sluice.feast.conftest import request_rows

pytestmark = pytest.mark.unit
FRAUD = load_pipeline("fraud")


def encoded(rows: list[dict[str, Any]], pipeline: Pipeline = FRAUD) -> pa.Table:
    columns = {name: [row[name] for row in rows] for name in rows[0] if name != pipeline.events.time}
    return encode_requests(pipeline, columns, read_times(pipeline, [row[pipeline.events.time] for row in rows]))


def test_requests_are_encoded_as_serving_encodes_them() -> None:
    served = serving.encode_requests(FRAUD, request_rows())
    mine = encoded(request_rows()).select(served.column_names)
    assert mine.to_pydict() == served.to_pydict()
    assert mine.schema.types == served.schema.types


def test_a_view_computes_with_its_id_and_what_it_includes() -> None:
    assert columns_of(FRAUD, FRAUD.view("customer_spend")) == ("transaction_id", "customer_id", "amount")
    assert columns_of(FRAUD, FRAUD.view("terminal_traffic")) == ("transaction_id",)


def test_a_caller_passes_the_time_and_what_is_no_entity_key() -> None:
    assert asked_of(FRAUD, FRAUD.view("customer_spend")) == ("event_time", "transaction_id", "amount")


def test_a_request_view_that_stands_alone_needs_no_id() -> None:
    events = Stream(
        "events",
        id=("shop", "number"),
        time="at",
        columns={"card": Key(), "a": Category("x", "y"), "b": Category("u", nullable=True), "sum": Decimal(max=10)},
    )
    alone = Request("alone", hour(), cross("a", "b"))
    spend = Windows("spend", of="card", over=events, features=[count("1d")])
    beside = Request("beside", ratio("sum", spend["count_1d"], name="each"))
    label = Label("bad", of=events, told_by=_told(events))
    pipeline = Pipeline("shop", views=[spend, alone, beside], label=label)
    assert asked_of(pipeline, alone) == ("at", "a", "b")
    assert sources_of(pipeline, beside) == (spend,)
    assert asked_of(pipeline, beside) == ("at", "sum", "shop", "number")
    rows = [
        {"at": "2026-01-01T00:00:00Z", "shop": "s|1", "number": "7"},
        {"at": "2026-01-01", "shop": None, "number": "7"},
    ]
    assert encoded(rows, pipeline).column("_id").to_pylist() == ["3:s|1|1:7", None]


def test_an_open_time_zone_is_utc() -> None:
    assert read_times(FRAUD, ["1970-01-01T00:00:01.000001"]).to_pylist() == [1_000_001]


def test_the_first_bad_value_is_named_with_what_is_allowed() -> None:
    rows = [*request_rows()[1:2], {**request_rows()[1], "amount": -0.01}]
    with pytest.raises(UserError) as raised:
        encoded(rows)
    assert raised.value.what == "-0.01 in row 1 is out of range"
    assert raised.value.where == "request of 'fraud', column 'amount'"
    assert raised.value.allowed == "0 to 100000 with 2 digits"


def test_keys_from_pandas_floats_are_whole_again() -> None:
    assert encode_keys(FRAUD, "customer_id", [3.0, None, 7]).to_pylist() == [3, None, 7]


def test_a_key_of_another_type_is_refused() -> None:
    with pytest.raises(UserError, match="'anna' in row 0 is no key"):
        encode_keys(FRAUD, "customer_id", ["anna"])


def _told(events: Stream) -> Stream:
    from sluice import Flag, ForeignKey

    return Stream("told", id="told_id", time="told_at", columns={"event": ForeignKey(events), "bad": Flag()})
