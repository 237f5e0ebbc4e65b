"""Requests are encoded as their events will be in history."""

from __future__ import annotations

import orjson
import pyarrow as pa
import pytest

from sluice import Decimal, Flag, ForeignKey, Key, Label, Pipeline, Stream, Windows, count
from sluice.engine.encode import encode
from sluice.lake.contract import BRONZE, check
from sluice.lake.requests import encode_requests
from tests.sluice.engine.pipelines import clinic, shop

pytestmark = pytest.mark.unit

ORDER = {
    "order_id": 7,
    "ordered_at": "2024-02-03T04:05:06.000007+01:00",
    "customer": 1,
    "till": "é",
    "amount": 12.34,
    "items": 3,
    "gift": True,
    "channel": "desk",
    "country": "DE",
}


def in_history(pipeline: Pipeline, rows: list[dict[str, object]]) -> pa.Table:
    """The same rows as events of the scored stream."""
    events = [{"payload": orjson.dumps(row), "source": "s", "revision": 0, "op": 0, "known": 2**60} for row in rows]
    bronze = pa.Table.from_pylist(events, schema=BRONZE)
    checked = check(pipeline.events, bronze, batch="")
    assert checked.rejected.to_pylist() == []
    return encode(checked.accepted, pipeline.events)


def test_a_request_is_encoded_as_its_event() -> None:
    pipeline = shop()
    rows = [ORDER, {**ORDER, "order_id": 8, "country": None, "amount": "0.10", "ordered_at": "2024-02-03"}]

    found = encode_requests(pipeline, rows)

    assert found.to_pylist() == in_history(pipeline, rows).select(found.column_names).to_pylist()
    assert found.column("_time").to_pylist() == [1_706_929_506_000_007, 1_706_918_400_000_000]
    assert found.column("amount").to_pylist() == [1234, 10]


def test_text_ids_and_keys_stay_text() -> None:
    row = {"visit_id": "a-1", "began_at": "2024-02-03T00:00:00Z", "patient": "p", "ward": 2, "cost": 1.5}

    found = encode_requests(clinic(), [row])

    assert (found.column("_id").to_pylist(), found.column("patient").to_pylist()) == (["a-1"], ["p"])


def test_a_request_without_an_id_has_none() -> None:
    found = encode_requests(shop(), [{**ORDER, "order_id": None}])

    assert found.column("_id").to_pylist() == [None]
    assert found.column("_id").type == pa.int64()


def test_a_composite_id_is_that_of_the_event() -> None:
    sales = Stream("sales", id=("branch", "receipt"), time="at", columns={"card": Key(), "amount": Decimal(max=10)})
    returns = Stream("returns", id="r", time="at", columns={"sale": ForeignKey(sales), "back": Flag()})
    view = Windows("v", of="card", over=sales, features=[count("1d")])
    pipeline = Pipeline("p", views=[view], label=Label("back", of=sales, told_by=returns, absent=0, after="1d"))
    row = {"branch": "b1", "receipt": "17", "at": "2024-02-03", "card": 1, "amount": 2}

    found = encode_requests(pipeline, [row, {**row, "receipt": None}])

    assert found.column("_id").to_pylist() == [in_history(pipeline, [row]).column("_id")[0].as_py(), None]


def test_names_at_the_source_do_not_matter_to_a_request() -> None:
    sales = Stream("s", id="n", time="at", columns={"card": Key()}, sources={"card": "CARD_NO", "n": "NUMBER"})
    told = Stream("t", id="m", time="at", columns={"n": ForeignKey(sales), "bad": Flag()})
    view = Windows("v", of="card", over=sales, features=[count("1d")])
    pipeline = Pipeline("p", views=[view], label=Label("bad", of=sales, told_by=told, absent=0, after="1d"))

    found = encode_requests(pipeline, [{"n": 5, "at": "2024-02-03", "card": 9}])

    assert (found.column("_id").to_pylist(), found.column("card").to_pylist()) == ([5], [9])


def test_no_requests_give_an_empty_table_of_the_right_types() -> None:
    found = encode_requests(shop(), [])

    assert len(found) == 0
    assert found.schema.field("_id").type == pa.int64()
    assert found.schema.field("till").type == pa.string()
