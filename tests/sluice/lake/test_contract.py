"""What enters history: each row by itself, one reason for each refusal, and nothing that raises."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.columns import Category, Decimal, Flag, Key
from sluice.declare.loading import load_pipeline
from sluice.declare.streams import Stream, position
from sluice.lake.contract import BRONZE, QUARANTINE, check, contract_version, silver_schema
from sluice.lake.rules import RULES
from tests.properties import examples

pytestmark = pytest.mark.unit

ORDERS = load_pipeline(str(Path(__file__).with_name("shop.py"))).stream("orders")
KNOWN = 1_767_261_600_000_000
"""2026-01-01 10:00 UTC."""
GOOD: dict[str, Any] = {
    "order_id": 1,
    "ordered_at": "2026-01-01T10:00:00Z",
    "customer": "ann",
    "amount": 12.34,
    "channel": "web",
    "country": "DE",
    "items": 2,
    "gift": False,
}


def bronze(payloads: list[bytes | None], **columns: list[Any]) -> pa.Table:
    count = len(payloads)
    given_ = {
        "payload": payloads,
        "source": ["kafka:shop.orders"] * count,
        "partition": [0] * count,
        "position": list(range(count)),
        "known": [KNOWN] * count,
        "revision": [0] * count,
        "op": [0] * count,
        "batch": [""] * count,
    }
    return pa.table(given_ | columns, BRONZE)


def of(rows: list[dict[str, Any]], **columns: list[Any]) -> pa.Table:
    return bronze([orjson.dumps(row) for row in rows], **columns)


def reasons(table: pa.Table) -> list[tuple[str, str, str, str]]:
    return [tuple(row.values()) for row in table.select(["rule", "column", "value", "allowed"]).to_pylist()]


def test_a_good_row_is_typed_and_keeps_its_place() -> None:
    (row,) = check(ORDERS, of([GOOD]), batch="b").accepted.to_pylist()
    assert [row[name] for name in ("_id", "_time", "_revision", "_op", "_known", "_watermark")] == [
        1,
        KNOWN,
        0,
        0,
        KNOWN,
        None,
    ]
    assert [row[name] for name in ("_source", "_partition", "_position", "_batch")] == ["kafka:shop.orders", 0, 0, "b"]
    assert (str(row["amount"]), row["channel"], row["items"], row["gift"]) == ("12.34", "web", 2, 0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": "much"}, ("type", "amount", '"much"', "a number with 2 decimals")),
        ({"amount": 12.345}, ("scale", "amount", "12.345", "a number with 2 decimals")),
        ({"amount": None}, ("missing", "amount", "null", "a value")),
        ({"amount": -5.0}, ("range", "amount", "-5.0", "0 to 1000")),
        ({"amount": 1000.01}, ("range", "amount", "1000.01", "0 to 1000")),
        ({"channel": "phone"}, ("category", "channel", '"phone"', "web, shop")),
        ({"items": 0}, ("range", "items", "0", "1 to 50")),
        ({"items": 2**60}, ("range", "items", "1152921504606846976", "1 to 50")),
        ({"gift": 2}, ("range", "gift", "2", "0 to 1")),
        ({"order_id": None}, ("missing", "order_id", "null", "a value")),
        ({"order_id": "x"}, ("type", "order_id", '"x"', "a whole number below 2^63")),
        ({"ordered_at": "soon"}, ("type", "ordered_at", '"soon"', "a time such as 2024-01-01T13:00:00Z")),
        (
            {"ordered_at": "2026-01-01T10:05:00.000001Z"},
            ("future", "ordered_at", '"2026-01-01T10:05:00.000001Z"', "at most 5min after it is known"),
        ),
    ],
)
def test_a_row_is_refused_with_rule_column_value_and_what_is_allowed(
    changes: dict[str, Any], reason: tuple[str, str, str, str]
) -> None:
    checked = check(ORDERS, of([GOOD, {**GOOD, **changes}]), batch="b")
    assert reasons(checked.rejected) == [reason]
    assert len(checked.accepted) == 1
    assert reason[0] in RULES


@pytest.mark.parametrize("payload", [b"{", b"", None, b"[1]", b"17", b'"text"', b"\xff\xfe", b"NaN"])
def test_what_is_no_json_object_is_refused_as_it_is(payload: bytes | None) -> None:
    checked = check(ORDERS, bronze([payload]), batch="b")
    assert reasons(checked.rejected) == [("json", "", (payload or b"").decode(errors="replace"), "a JSON object")]
    assert checked.rejected.column("payload").to_pylist() == [payload]


def test_two_broken_payloads_never_make_two_good_ones() -> None:
    one, other = orjson.dumps(GOOD), orjson.dumps({**GOOD, "order_id": 2})
    torn = [one + b"," + other[:20], other[20:]]
    assert check(ORDERS, bronze(torn), batch="b").rejected.column("rule").to_pylist() == ["json", "json"]


def test_a_column_that_is_absent_is_null() -> None:
    rows = [{name: value for name, value in GOOD.items() if name != left_out} for left_out in ("country", "customer")]
    assert len(check(ORDERS, of(rows), batch="b").accepted) == 2  # both may be null


def test_one_problem_for_each_row_in_declared_order() -> None:
    worst: dict[str, Any] = {name: [] for name in GOOD}
    assert reasons(check(ORDERS, of([worst]), batch="b").rejected) == [
        ("type", "order_id", "[]", "a whole number below 2^63")
    ]
    later = {**GOOD, "gift": 7, "channel": "phone", "amount": -1}
    assert reasons(check(ORDERS, of([later]), batch="b").rejected)[0][1] == "amount"


def test_a_bound_holds_exactly() -> None:
    stream = replace(ORDERS, columns={"amount": Decimal(scale=2, min=0.07, max=0.29)})
    rows = [{**GOOD, "amount": amount} for amount in (0.06, 0.07, 0.29, 0.3)]
    assert [str(row["amount"]) for row in check(stream, of(rows), batch="b").accepted.to_pylist()] == ["0.07", "0.29"]


def test_a_delete_needs_only_its_id_and_time() -> None:
    gone = {"order_id": 1, "ordered_at": "2026-01-01T10:00:00Z", "amount": "no matter"}
    checked = check(ORDERS, of([gone, gone, {"order_id": 1}], op=[1, 0, 1]), batch="b")
    assert checked.accepted.column("_op").to_pylist() == [1]
    assert reasons(checked.rejected) == [
        ("type", "amount", '"no matter"', "a number with 2 decimals"),
        ("missing", "ordered_at", "null", "a value"),
    ]


def test_a_revision_or_operation_that_cannot_be_read_is_refused() -> None:
    rows = of(
        [{**GOOD, "_revision": "new"}, {**GOOD, "_op": "drop"}, GOOD, GOOD],
        revision=[None, 0, -1, 0],
        op=[0, None, 0, 7],
    )
    assert reasons(check(ORDERS, rows, batch="b").rejected) == [
        ("type", "_revision", '"new"', "a whole number from 0 to 2147483647"),
        ("type", "_op", '"drop"', "put, delete"),
        ("type", "_revision", "null", "a whole number from 0 to 2147483647"),
        ("type", "_op", "null", "put, delete"),
    ]


def test_history_in_files_is_known_by_its_rule() -> None:
    told = replace(ORDERS, known="event_time + 7d")
    (row,) = check(told, of([GOOD], known=[None]), batch="b").accepted.to_pylist()
    assert row["_known"] - row["_time"] == 7 * 86_400_000_000


def test_source_names_change_where_a_value_is_found_and_not_what_it_is() -> None:
    renamed = replace(ORDERS, sources={"amount": "TX_AMOUNT"})
    row = {**{name: value for name, value in GOOD.items() if name != "amount"}, "TX_AMOUNT": 12.34}
    hashes = [
        check(stream, of([given_]), batch="b").accepted.column("_hash").to_pylist()
        for stream, given_ in ((ORDERS, GOOD), (renamed, row))
    ]
    assert hashes[0] == hashes[1]


def test_parts_of_a_composite_id_do_not_run_together() -> None:
    stream = Stream("s", id=("a", "b"), time="at", columns={"a": Key("text"), "b": Key("text")})
    rows = [{"at": "2026-01-01", "a": a, "b": b} for a, b in (("1", "1|1:1"), ("1|1:1", "1"), ("x", "y"), ("x", None))]
    checked = check(stream, of(rows), batch="b")
    assert checked.accepted.column("_id").to_pylist() == ["1:1|5:1|1:1", "5:1|1:1|1:1", "1:x|1:y"]
    assert reasons(checked.rejected) == [("missing", "b", "null", "a value")]


def test_without_ids_an_event_is_its_payload_at_its_position() -> None:
    stream = Stream("s", id=position, time="at", columns={"flag": Flag()})
    rows = [{"at": "2026-01-01", "flag": flag} for flag in (1, 1, 0)]
    ids = check(stream, of(rows, position=[7, 8, 9]), batch="b").accepted.column("_id").to_pylist()
    assert len(set(ids)) == 3
    assert [one[16:] for one in ids] == ["0000000000000000007", "0000000000000000008", "0000000000000000009"]
    assert ids[0][:16] == ids[1][:16] != ids[2][:16]


def test_the_contract_has_another_version_when_it_lets_other_rows_in() -> None:
    wider = {**ORDERS.columns, "amount": Decimal(scale=2, min=0, max=1001)}
    assert contract_version(ORDERS) != contract_version(replace(ORDERS, columns=wider))
    assert contract_version(ORDERS) == contract_version(replace(ORDERS))


def test_no_rows_are_two_empty_tables() -> None:
    checked = check(ORDERS, of([]), batch="b")
    assert (len(checked.accepted), len(checked.rejected)) == (0, 0)
    assert checked.accepted.schema == silver_schema(ORDERS)
    assert checked.rejected.schema == QUARANTINE


VALUES = st.one_of(
    st.sampled_from([None, True, 1, 2.5, "1", "web", "2026-01-01T10:00:00Z", "2026-01-01 09:59:59.5", "", [], {}]),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
)
ROWS = st.fixed_dictionaries({}, optional={name: st.just(value) | VALUES for name, value in GOOD.items()})
PAYLOADS = st.one_of(ROWS.map(orjson.dumps), st.binary(max_size=40), st.none())
EVENTS = st.lists(st.tuples(PAYLOADS, st.sampled_from([0, 1, None, -1]), st.sampled_from([0, 1, None, 3])), max_size=12)


def table_of(events: list[tuple[bytes | None, int | None, int | None]], first: int = 0) -> pa.Table:
    return bronze(
        [payload for payload, _, _ in events],
        position=list(range(first, first + len(events))),
        revision=[revision for _, revision, _ in events],
        op=[operation for _, _, operation in events],
    )


@settings(max_examples=examples(50))
@given(EVENTS, st.integers(0, 12))
def test_every_row_is_judged_by_itself_alone(events: list[Any], cut: int) -> None:
    whole = check(ORDERS, table_of(events), batch="b")
    parts = [
        check(ORDERS, table_of(part, first), batch="b") for part, first in ((events[:cut], 0), (events[cut:], cut))
    ]
    if cut <= len(events):
        assert whole.accepted.equals(pa.concat_tables([part.accepted for part in parts]))
        assert whole.rejected.equals(pa.concat_tables([part.rejected for part in parts]))


@settings(max_examples=examples(50))
@given(EVENTS)
def test_no_payload_is_lost_and_none_raises(events: list[Any]) -> None:
    checked = check(ORDERS, table_of(events), batch="b")
    places = checked.accepted.column("_position").to_pylist() + checked.rejected.column("position").to_pylist()
    assert sorted(places) == list(range(len(events)))
    assert set(checked.rejected.column("rule").to_pylist()) <= set(RULES)


LIKE = Stream(
    "s",
    id="id",
    time="at",
    columns={"code": Key("text", pattern="c[0-9]{1,3}"), "land": Category(pattern="[A-Z]{2}|N/A", nullable=True)},
)


@pytest.mark.parametrize(
    ("code", "land", "refused"),
    [
        ("c1", "DE", None),
        ("c123", "N/A", None),
        (None, None, None),
        ("c1234", "DE", ("pattern", "code", '"c1234"', "a text like c[0-9]{1,3}")),
        ("xc1", "DE", ("pattern", "code", '"xc1"', "a text like c[0-9]{1,3}")),
        ("c1\n", "DE", ("pattern", "code", '"c1\\n"', "a text like c[0-9]{1,3}")),
        ("c1", "", ("pattern", "land", '""', "a text like [A-Z]{2}|N/A")),
        ("c1", "DEN/A", ("pattern", "land", '"DEN/A"', "a text like [A-Z]{2}|N/A")),
    ],
)
def test_the_whole_of_a_text_looks_as_declared(
    code: str | None, land: str | None, refused: tuple[str, str, str, str] | None
) -> None:
    row = {"id": 1, "at": "2026-01-01T10:00:00Z", "code": code, "land": land}
    checked = check(LIKE, of([row]), batch="b")
    assert reasons(checked.rejected) == ([] if refused is None else [refused])
    assert len(checked.accepted) == (refused is None)
