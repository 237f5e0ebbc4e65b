"""Whole tables of events enter as the same rows would one by one."""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import replace

import pyarrow as pa
import pytest

from sluice import Category, Decimal, Flag, Integer, Key, Label, Pipeline, Stream, Windows, count
from sluice.engine.encode import text_hash
from sluice.errors import DataError
from sluice.lake.contract import check
from sluice.lake.event_tables import enter, enter_all
from sluice.lake.rules import Problem
from tests.sluice.feast.conftest import bronze

pytestmark = pytest.mark.unit

SALES = Stream(
    "sales",
    id="sale",
    time="at",
    columns={
        "shop": Key("text"),
        "price": Decimal(scale=2, max=100),
        "pieces": Integer(max=10, nullable=True),
        "kind": Category("a", "b", nullable=True),
        "place": Category(nullable=True),
        "paid": Flag(nullable=True),
    },
    sources={"price": "PRICE"},
)
RETURNED = Label("returned", of=SALES, column="RET", known_after="1d")
PIPELINE = Pipeline("p", views=[Windows("v", of="shop", over=SALES, features=[count("1d")])], label=RETURNED)
DAY = 86_400_000_000
AT = dt.datetime(2024, 1, 2, 3, 4, 5, 678_901, dt.UTC)
MICROS = 1_704_164_645_678_901


def row(**changes: object) -> dict[str, object]:
    usual = {"sale": 1, "at": AT, "shop": "x", "PRICE": 1.5, "pieces": 2, "kind": "b", "place": "é", "paid": 1}
    return {**usual, **changes}


def entered(*rows: dict[str, object], **types: pa.DataType) -> tuple[list[dict[str, object]], list[Problem]]:
    table = pa.Table.from_pylist(list(rows))
    for name, kind in types.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, table.column(name).cast(kind))
    found = enter(SALES, table)
    return found.events.to_pylist(), found.refused


def test_an_event_enters_as_whole_numbers() -> None:
    [event], refused = entered(row())
    assert refused == []
    assert event == {
        "_id": 1,
        "_time": MICROS,
        "_revision": 0,
        "_op": 0,
        "_hash": event["_hash"],
        "_known": MICROS,
        "_watermark": None,
        "shop": "x",
        "price": 150,
        "pieces": 2,
        "kind": 1,
        "place": text_hash("é"),
        "paid": 1,
    }


def test_an_id_measures_nothing_whatever_its_column_is_declared_as() -> None:
    stream = Stream("s", id="n", time="at", columns={"n": Integer(max=3)})
    found = enter(stream, pa.table({"n": [2, 7], "at": pa.array([MICROS] * 2, pa.timestamp("us", "UTC"))}))
    assert (found.events.column("_id").to_pylist(), found.refused) == ([2, 7], [])


def test_of_many_rows_every_one_is_judged_once_and_in_its_place() -> None:
    count, bad = 300_000, {0: 13, 131_071: 11, 131_072: 12, 299_999: 99}
    sales = [*range(count - 2), 7, count - 1]
    table = pa.table(
        {
            "sale": sales,
            "at": pa.array([MICROS] * count, pa.timestamp("us", "UTC")),
            "shop": ["x"] * count,
            "PRICE": [1.5] * count,
            "pieces": [bad.get(number, 2) for number in range(count)],
            "kind": ["b"] * count,
            "place": ["é"] * count,
            "paid": [1] * count,
        }
    )
    found = enter(SALES, table, first=5)
    assert [(problem.index, problem.rule) for problem in found.refused] == [(number, "range") for number in bad]
    ids, hashes = (found.events.column(name) for name in ("_id", "_hash"))
    assert ids.to_pylist() == [sale for number, sale in enumerate(sales) if number not in bad]
    # one sale is there twice, far apart: then all have the hashes that decide between versions
    assert len(hashes.unique()) == len(ids.unique()) == len(ids) - 1


@pytest.mark.parametrize(
    "types",
    [
        {"at": pa.timestamp("us")},
        {"at": pa.timestamp("ns")},
        {"at": pa.timestamp("us", "Europe/Paris")},
        {"shop": pa.large_string()},
        {"kind": pa.dictionary(pa.int8(), pa.string())},
        {"pieces": pa.int8()},
        {"sale": pa.float64()},
        {"paid": pa.bool_()},
        {"PRICE": pa.decimal128(5, 1)},
        {"PRICE": pa.decimal128(38, 18)},
        {"sale": pa.decimal128(20, 0)},
        {"shop": pa.binary()},
        {"PRICE": pa.float32()},
    ],
    ids=str,
)
def test_the_type_of_a_column_changes_nothing_but_what_it_cannot_hold(types: dict[str, pa.DataType]) -> None:
    assert entered(row(), **types) == entered(row())


def test_nanoseconds_beyond_the_microsecond_are_cut_off_also_before_1970() -> None:
    table = pa.Table.from_pylist([row(), row(sale=2)])
    at = pa.array([MICROS * 1000 + 999, -1], pa.timestamp("ns"))
    found = enter(SALES, table.set_column(1, "at", at))
    assert found.events.column("_time").to_pylist() == [MICROS, -1]


def test_a_date_is_its_first_moment_and_a_time_that_microseconds_do_not_hold_is_refused() -> None:
    table = pa.Table.from_pylist([row(), row(sale=2)])
    dates = enter(SALES, table.set_column(1, "at", pa.array([dt.date(1970, 1, 2)] * 2)))
    assert dates.events.column("_time").to_pylist() == [DAY, DAY]
    far = enter(SALES, table.set_column(1, "at", pa.array([10**15, 86_400], pa.timestamp("s"))))
    assert far.events.column("_time").to_pylist() == [DAY]
    assert far.refused == [Problem(0, "type", "at", "a time such as 2024-01-01T13:00:00Z")]


@pytest.mark.parametrize(
    ("changes", "rule", "column"),
    [
        ({"sale": None}, "missing", "sale"),
        ({"at": None}, "missing", "at"),
        ({"PRICE": 100.01}, "range", "price"),
        ({"PRICE": 1.005}, "scale", "price"),
        ({"PRICE": float("nan")}, "type", "price"),
        ({"PRICE": None}, "missing", "price"),
        ({"pieces": 11}, "range", "pieces"),
        ({"kind": "c"}, "category", "kind"),
        ({"paid": 2}, "range", "paid"),
        ({"_revision": -1}, "type", "_revision"),
        ({"_op": "drop"}, "type", "_op"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused_with_its_place_and_the_others_enter(
    changes: dict[str, object], rule: str, column: str
) -> None:
    more = {name: None for name in changes if name.startswith("_")}
    events, refused = entered(row(sale=5, **more), row(**changes), row(sale=6, **more))
    assert [event["_id"] for event in events] == [5, 6]
    assert [(problem.index, problem.rule, problem.column) for problem in refused] == [(1, rule, column)]


def test_the_rows_of_a_table_enter_as_the_contract_lets_them_enter() -> None:
    rows = [
        row(sale=number, PRICE=price, kind=kind)
        for number, (price, kind) in enumerate([(1.5, "a"), (0.0, None), (100.0, "b"), (decimal.Decimal("2.25"), "a")])
    ]
    stream = replace(SALES, sources={})
    named = [{("price" if name == "PRICE" else name): value for name, value in one.items()} for one in rows]
    named.append({**named[0], "kind": "b"})
    rows.append({**rows[0], "kind": "b"})
    raw = [{**one, "price": float(one["price"]), "at": AT.isoformat()} for one in named]
    checked = check(stream, bronze(stream, raw), batch="b").accepted
    found = enter(SALES, pa.Table.from_pylist([{**one, "PRICE": float(one["PRICE"])} for one in rows])).events
    for name in ("_id", "_time", "_hash", "_known", "_revision", "_op"):
        assert found.column(name).to_pylist() == checked.column(name).to_pylist()


def test_a_label_inside_the_row_comes_out_as_an_event_of_its_own_when_it_is_known() -> None:
    rows = [row(RET=1), row(sale=2, RET=None), row(sale=3, RET=0), row(sale=4, kind="c", RET=1), row(sale=5, RET=7)]
    found = enter_all(PIPELINE, {"sales": pa.Table.from_pylist(rows)})
    assert found["sales"].events.column("_id").to_pylist() == [1, 2, 3, 5]
    told = found["sales_returned"]
    kept = [(one["_id"], one["sale"], one["returned"], one["_time"], one["_known"]) for one in told.events.to_pylist()]
    assert kept == [(1, 1, 1, MICROS + DAY, MICROS + DAY), (3, 3, 0, MICROS + DAY, MICROS + DAY)]
    assert told.refused == [Problem(4, "type", "returned", "0 or 1")]
    assert found["sales"].reasons == {"category kind": 1}


def test_a_deleted_event_deletes_its_label_whatever_its_row_says() -> None:
    rows = [row(RET=None, _op="delete"), row(sale=2, RET=7, _op="delete"), row(sale=3, RET=None, _op="put")]
    found = enter_all(PIPELINE, {"sales": pa.Table.from_pylist(rows)})
    told = found["sales_returned"]
    assert [(one["_id"], one["_op"]) for one in told.events.to_pylist()] == [(1, 1), (2, 1)]
    assert told.refused == []


def test_a_missing_label_is_named_with_the_columns_that_are_there() -> None:
    with pytest.raises(DataError, match=r"no column RET, which tells the label(.|\n)*allowed: sale, at, shop"):
        enter_all(PIPELINE, {"sales": pa.Table.from_pylist([row()])})


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(DataError, match=r"no column PRICE(.|\n)*allowed: sale, at, shop, pieces"):
        enter(SALES, pa.Table.from_pylist([row()]).drop(["PRICE"]))
