"""Files of rows: the same rows from every format, and a clear word where a file is none."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.rowfiles import Row, Unequal, columns_of, groups, read

pytestmark = pytest.mark.unit


def rows_of(path: Path, **how: Any) -> list[Row]:
    return [row for group, first in groups(path) for _, chunk in read(path, group, first, **how) for row in chunk]


def parquet(path: Path, table: pa.Table, **how: Any) -> Path:
    pq.write_table(table, path, **how)
    return path


def text(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_a_parquet_file_is_read_by_row_groups_that_know_their_first_row(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", pa.table({"n": list(range(25))}), row_group_size=10)
    assert groups(path) == [(0, 0), (1, 10), (2, 20)]
    assert [(first, len(rows)) for first, rows in read(path, 1, 10)] == [(10, 10)]
    assert rows_of(path) == [{"n": number} for number in range(25)]


def test_parquet_values_become_what_json_can_hold_and_lose_nothing(tmp_path: Path) -> None:
    table = pa.table(
        {
            "naive": pa.array([1], pa.timestamp("us")),
            "nano": pa.array([1_000_000_001], pa.timestamp("ns")),
            "berlin": pa.array([0], pa.timestamp("s", "Europe/Berlin")),
            "day": pa.array([1], pa.date32()),
            "money": pa.array([Decimal("12.30")], pa.decimal128(10, 2)),
            "binary": [b"pos"],
            "broken": [b"\xff"],
            "coded": pa.array(["a"]).dictionary_encode(),
            "nested": [{"when": Decimal("1.5")}],
            "whole": pa.array([2**63 - 1]),
            "real": [float("nan")],
        }
    )
    (row,) = rows_of(parquet(tmp_path / "a.parquet", table))
    assert isinstance(row, dict)
    assert str(row.pop("real")) == "nan"
    assert row == {
        "naive": "1970-01-01 00:00:00.000001",
        "nano": "1970-01-01 00:00:01.000000001",
        "berlin": "1970-01-01 00:00:00.000Z",
        "day": "1970-01-02",
        "money": "12.30",
        "binary": "pos",
        "broken": {"base64": "/w=="},
        "coded": "a",
        "nested": {"when": "1.5"},
        "whole": 2**63 - 1,
    }


def test_of_a_parquet_file_only_the_asked_columns_are_read(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", pa.table({"a": [1], "b": [2], "c": [3]}))
    assert rows_of(path, columns=["c", "a", "no such"]) == [{"c": 3, "a": 1}]


def test_csv_fields_are_text_and_empty_ones_are_null(tmp_path: Path) -> None:
    path = text(tmp_path / "a.csv", '\ufeffid,name\n007,"Smith, ""J"""\n2,\n')
    assert rows_of(path) == [{"id": "007", "name": 'Smith, "J"'}, {"id": "2", "name": None}]


def test_a_csv_row_with_another_number_of_fields_is_no_object_and_keeps_the_header(tmp_path: Path) -> None:
    assert rows_of(text(tmp_path / "a.csv", "a,b\n1,2\n1,2,3\n4\n")) == [
        {"a": "1", "b": "2"},
        b'[["1","2","3"],["a","b"]]',
        b'[["4"],["a","b"]]',
    ]


@pytest.mark.parametrize(
    ("payload", "named"),
    [
        (b'[["1","","3"],["a","b"]]', {"a": "1", "b": None}),
        (b'[["4"],["a","b"]]', {"a": "4"}),
        (b'[["4"],["a"]]', None),
        (b'[["4"],[1]]', None),
        (b'[["4"],["a"],["b"]]', None),
        (b'["4","5"]', None),
        (b"[[", None),
        (b"", None),
    ],
)
def test_a_row_of_another_length_has_its_fields_under_their_names(payload: bytes, named: dict[str, Any] | None) -> None:
    found = Unequal.of(payload)
    assert (found.named if found else None) == named
    assert found is None or found.payload == payload


def test_json_lines_stay_the_bytes_they_are(tmp_path: Path) -> None:
    path = text(tmp_path / "a.jsonl", b'{"a": 1}\n\n  {"a" :2}\r\n{"a": \n\xff')
    assert rows_of(path) == [b'{"a": 1}', b'{"a" :2}', b'{"a":', b"\xff"]


def test_a_list_among_json_lines_is_a_row_like_any_other_even_the_first(tmp_path: Path) -> None:
    assert rows_of(text(tmp_path / "a.jsonl", b'[]\n{"a": 1}\n')) == [b"[]", b'{"a": 1}']


def test_columns_are_known_without_reading_the_rows(tmp_path: Path) -> None:
    assert columns_of(parquet(tmp_path / "a.parquet", pa.table({"x": [1], "y": [2]}))) == ["x", "y"]
    assert columns_of(text(tmp_path / "a.csv", "x,y\n")) == ["x", "y"]
    assert columns_of(text(tmp_path / "a.jsonl", '{"x": 1}')) is None


def test_a_file_that_is_not_there_is_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.parquet: there is no such file"):
        groups(tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r"it is a folder, and no Delta table\n.*\n.* as STREAM=TABLE@VERSION"):
        groups(tmp_path)
    with pytest.raises(UserError, match=r"a\.xlsx: no reader for '\.xlsx'"):
        groups(text(tmp_path / "a.xlsx", b"PK"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"", "not a readable parquet file"),
        ("a.parquet", b"PAR1 but no more", "not a readable parquet file"),
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"  \n", "the file is empty"),
        ("a.csv", b"a,a\n1,2\n", "two columns have the same name"),
        ("a.csv", b"\xff\xfe\n1\n", "not a readable csv file"),
        ("a.csv", "n,Preis €\n".encode("cp1252"), "can't decode byte 0x80 .*\n  next: write it as UTF-8"),
        ("a.csv", b"a;b\n1;2\n", "one column that contains ';': is it separated by semicolons.*\n.*\n.*with commas"),
        ("a.csv", b"a\tb\n1\t2\n", "is it separated by tabs"),
        ("a.json", b"", "the file is empty"),
        ("a.json", b'[{"a": 1}]', "a JSON array"),
        ("a.json", b'[{"a": 1},\n {"a": 2}]\n', "a JSON array"),
        ("a.json", b'[\n{"a": 1}\n]\n', "a JSON array"),
    ],
)
def test_a_file_that_is_none_is_a_data_error_that_names_it(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = text(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as raised:
        groups(path)
    assert raised.value.where == str(path)


def test_a_damaged_page_is_a_data_error(tmp_path: Path) -> None:
    path = parquet(tmp_path / "a.parquet", pa.table({"n": [f"text {n}" for n in range(20_000)]}))
    content = bytearray(path.read_bytes())
    content[200:20_000] = bytes(19_800)
    path.write_bytes(content)
    assert groups(path) == [(0, 0)]  # its footer is whole
    with pytest.raises(DataError, match="not a readable parquet file") as raised:
        rows_of(path)
    assert raised.value.next_step == "deliver it again"


def test_a_csv_that_breaks_off_inside_quotes_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a readable csv file"):
        rows_of(text(tmp_path / "a.csv", 'a\n"never closed\n'))


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_a_file_may_have_no_rows(tmp_path: Path, name: str) -> None:
    table = pa.table({"a": pa.array([], pa.int64())})
    path = parquet(tmp_path / name, table) if name == "a.parquet" else text(tmp_path / name, "a\n")
    assert rows_of(path) == []
    assert len(groups(path)) == 1
