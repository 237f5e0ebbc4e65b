"""Landing: each row once and as it came, from whatever file, with the label split off where the row holds it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.errors import DataError
from sluice.lake.contract import check
from sluice.lake.landing import land, parts, source_of
from tests.properties import examples

pytestmark = pytest.mark.unit

SHOP = load_pipeline(str(Path(__file__).with_name("shop.py")))
HANDBOOK = load_pipeline("handbook")
ORDER = {"order_id": 1, "ordered_at": "2026-01-01 10:00:00", "customer": "ann", "amount": 12.5, "channel": "web"}


def landed(pipeline: Pipeline, stream: str, path: Path, file_of: str | None = None, **how: Any) -> pa.Table:
    declared, renamed = pipeline.stream(stream), how.get("renamed", {})
    found = parts(pipeline, pipeline.stream(file_of or stream), path, renamed)
    tables = [table for part in found for table in land(pipeline, declared, part, batch="b", renamed=renamed)]
    return pa.concat_tables(tables)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Rows as a file of the kind that its suffix says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        sheet = io.StringIO()
        writer = csv.DictWriter(sheet, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(sheet.getvalue())
    else:
        path.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    return path


def payloads(table: pa.Table) -> list[Any]:
    return [orjson.loads(payload) for payload in table.column("payload").to_pylist()]


def test_a_row_keeps_its_files_hash_and_its_number(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.Table.from_pylist([{**ORDER, "order_id": n} for n in range(5)]), path, row_group_size=2)
    table = landed(SHOP, "orders", path)
    assert set(table.column("source").to_pylist()) == {source_of(path)}
    assert table.column("position").to_pylist() == [0, 1, 2, 3, 4]
    assert [row["order_id"] for row in payloads(table)] == [0, 1, 2, 3, 4]
    assert table.column("known").null_count == 5


def test_the_same_bytes_under_another_name_are_the_same_source(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a.jsonl", [ORDER]), write(tmp_path / "b.jsonl", [ORDER])
    assert source_of(one) == source_of(other) != source_of(write(tmp_path / "c.jsonl", [ORDER, ORDER]))


ORDERS = st.fixed_dictionaries(
    {
        "order_id": st.integers(-(2**63), 2**63 - 1),
        "ordered_at": st.sampled_from(["2026-01-01 10:00:00", "2026-01-01T10:00:00.25Z", "2026-01-01"]),
        "customer": st.none()
        | st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=5),
        "amount": st.integers(0, 100_000).map(lambda cents: cents / 100) | st.just(-1.0),
        "channel": st.sampled_from(["web", "shop", "phone"]),
        "items": st.none() | st.integers(0, 60),
        "gift": st.none() | st.booleans(),
    }
)


@settings(max_examples=examples(25))
@given(st.lists(ORDERS, min_size=1, max_size=5))
def test_parquet_csv_and_json_of_one_event_are_equal_once_typed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder, orders = tmp_path_factory.mktemp("formats"), SHOP.stream("orders")
    files = [write(folder / f"a{suffix}", rows) for suffix in (".parquet", ".csv", ".jsonl")]
    checked = [check(orders, landed(SHOP, "orders", path), batch="b") for path in files]
    accepted = [one.accepted.drop_columns(["_source"]) for one in checked]
    assert accepted[0].equals(accepted[1])
    assert accepted[0].equals(accepted[2])
    told = [one.rejected.select(["rule", "column", "position"]) for one in checked]
    assert told[0].equals(told[1])
    assert told[0].equals(told[2])


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_revision_and_operation_are_columns_that_do_not_stay_in_the_payload(tmp_path: Path, suffix: str) -> None:
    rows = [{**ORDER, "_revision": 3, "_op": "delete"}, {**ORDER, "_revision": None, "_op": None}]
    table = landed(SHOP, "orders", write(tmp_path / f"a{suffix}", rows))
    assert table.column("revision").to_pylist() == [3, 0]
    assert table.column("op").to_pylist() == [1, 0]
    assert [set(row) & {"_revision", "_op"} for row in payloads(table)] == [set(), set()]


@pytest.mark.parametrize(("revision", "operation"), [("new", "put"), (2**31, "put"), (-1, "put"), (0, "drop")])
def test_what_cannot_be_read_of_them_stays_for_all_to_see(tmp_path: Path, revision: Any, operation: str) -> None:
    table = landed(SHOP, "orders", write(tmp_path / "a.jsonl", [{**ORDER, "_revision": revision, "_op": operation}]))
    assert [table.column(name).null_count for name in ("revision", "op")] == [revision != 0, operation == "drop"]
    assert payloads(table)[0]["_revision"] == revision


TRANSACTION = {
    "TRANSACTION_ID": 5,
    "TX_DATETIME": "2018-04-01 00:00:31",
    "CUSTOMER_ID": 596,
    "TERMINAL_ID": 3156,
    "TX_AMOUNT": 57.16,
    "TX_FRAUD": 1,
}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_label_inside_the_row_is_split_off_and_told_when_it_is_known(tmp_path: Path, suffix: str) -> None:
    untold = {**TRANSACTION, "TRANSACTION_ID": 6, "TX_FRAUD": None}
    path = write(tmp_path / f"a{suffix}", [TRANSACTION, untold, {**TRANSACTION, "TRANSACTION_ID": 7, "TX_FRAUD": 0}])
    events = landed(HANDBOOK, "transactions", path)
    assert all("TX_FRAUD" not in row for row in payloads(events))
    told = landed(HANDBOOK, "transactions_is_fraud", path, "transactions")
    assert told.column("position").to_pylist() == [0, 2]
    labels = check(HANDBOOK.stream("transactions_is_fraud"), told, batch="b").accepted.to_pylist()
    assert [(row["transaction_id"], row["is_fraud"]) for row in labels] == [(5, 1), (7, 0)]
    assert {str(row["is_fraud_time"]) for row in labels} == {"2018-04-08 00:00:31+00:00"}


def test_a_deleted_event_takes_its_label_with_it(tmp_path: Path) -> None:
    gone = {**TRANSACTION, "TX_FRAUD": None, "_revision": 1, "_op": "delete"}
    told = landed(HANDBOOK, "transactions_is_fraud", write(tmp_path / "a.jsonl", [gone]), "transactions")
    assert (told.column("revision").to_pylist(), told.column("op").to_pylist()) == ([1], [1])


def test_an_event_that_is_put_without_its_label_tells_none(tmp_path: Path) -> None:
    untold = {**TRANSACTION, "TX_FRAUD": None, "_op": "put"}
    told = landed(HANDBOOK, "transactions_is_fraud", write(tmp_path / "a.jsonl", [untold]), "transactions")
    assert len(told) == 0


def test_a_torn_line_is_refused_in_both_streams(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(orjson.dumps(TRANSACTION)[:40])
    for stream in ("transactions", "transactions_is_fraud"):
        torn = landed(HANDBOOK, stream, path, "transactions")
        assert check(HANDBOOK.stream(stream), torn, batch="b").rejected.column("rule").to_pylist() == ["json"]


@pytest.mark.parametrize("missing", ["TX_FRAUD", "TRANSACTION_ID", "TX_DATETIME"])
@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_a_file_that_cannot_tell_its_labels_is_a_data_error(tmp_path: Path, suffix: str, missing: str) -> None:
    row = {name: value for name, value in TRANSACTION.items() if name != missing}
    with pytest.raises(DataError, match=f"no column '{missing}', from which the label 'is_fraud' is told"):
        landed(HANDBOOK, "transactions", write(tmp_path / f"a{suffix}", [row]))


def test_a_delivery_that_calls_them_otherwise_tells_them_too(tmp_path: Path) -> None:
    other = {"TRANSACTION_ID": "ID", "TX_DATETIME": "WHEN", "TX_FRAUD": "FRAUD"}
    path = write(tmp_path / "a.csv", [{other.get(name, name): value for name, value in TRANSACTION.items()}])
    renamed = {
        "transactions": {"transaction_id": "ID", "event_time": "WHEN"},
        "transactions_is_fraud": {"is_fraud": "FRAUD"},
    }
    told = landed(HANDBOOK, "transactions_is_fraud", path, "transactions", renamed=renamed)
    (row,) = payloads(told)
    assert row == {"TRANSACTION_ID": "5", "is_fraud_time": "2018-04-08 00:00:31.000000Z", "FRAUD": "1"}
    assert "FRAUD" not in payloads(landed(HANDBOOK, "transactions", path, renamed=renamed))[0]
