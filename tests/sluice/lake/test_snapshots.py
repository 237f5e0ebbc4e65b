"""Versions of Delta tables as deliveries: which data files they are, and what is in each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pytest

from sluice.errors import DataError, UserError
from sluice.lake.snapshots import Snapshot, pinned, read_source, snapshot

pytestmark = pytest.mark.unit


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Version 0 with three rows in folders of their country, version 1 with one more."""
    path = tmp_path / "payments"
    rows = {"number": [1, 2, 3], "country": ["x y", "ö:1", None]}
    deltalake.write_deltalake(str(path), pa.table(rows), partition_by=["country"])
    deltalake.write_deltalake(str(path), pa.table({"number": [4], "country": ["x y"]}), mode="append")
    return path


def taken(text: object) -> Snapshot:
    found = snapshot(str(text))
    assert found is not None
    return found


def rows(found: Snapshot) -> list[dict[str, Any]]:
    read = [(first, chunk) for source in found.sources for first, chunk in read_source(found.name, source)]
    assert {first for first, _ in read} == {0}
    return sorted((row for _, chunk in read for row in chunk), key=lambda row: row["number"])


def test_a_version_has_its_rows_with_the_columns_that_are_in_the_names_of_folders(table: Path) -> None:
    four = {"number": 4, "country": "x y"}
    three = [{"number": 1, "country": "x y"}, {"number": 2, "country": "ö:1"}, {"number": 3, "country": None}]
    assert rows(taken(f"{table}@0")) == three
    assert rows(taken(f"{table}@1")) == rows(taken(table)) == [*three, four]
    assert taken(table).columns == ["number", "country"]


def test_a_later_version_has_the_sources_of_the_one_before_and_more(table: Path) -> None:
    before, after = taken(f"{table}@0"), taken(table)
    assert (before.name, after.name) == (f"{table}@0", f"{table}@1")
    assert before.sources.items() < after.sources.items()
    assert len(after.sources) == 4
    identity = deltalake.DeltaTable(str(table)).metadata().id
    assert all(source.startswith(f"delta:{identity}/country=") for source in after.sources)
    assert all(size > 0 for size in after.sources.values())


def test_a_delivery_without_a_version_is_of_the_newest(table: Path) -> None:
    assert pinned(str(table)) == f"{table}@1"
    assert pinned(f"{table}@0") == f"{table}@0"
    assert pinned("orders.parquet") == "orders.parquet"


def test_what_is_no_table_is_none(tmp_path: Path) -> None:
    file = tmp_path / "a@5"
    file.write_text("x")
    assert [snapshot(str(path)) for path in (file, tmp_path, tmp_path / "nothing@3")] == [None] * 3


def test_only_the_columns_that_are_asked_for_are_read(table: Path) -> None:
    found = taken(f"{table}@0")
    chunks = [
        chunk for source in found.sources for _, chunk in read_source(found.name, source, columns=["country", "x"])
    ]
    assert sorted(str(row) for chunk in chunks for row in chunk) == [
        "{'country': 'x y'}",
        "{'country': 'ö:1'}",
        "{'country': None}",
    ]


def test_rows_are_numbered_within_their_file(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"number": range(20_000)}))
    found = taken(tmp_path / "t")
    (source,) = found.sources
    chunks = [(first, [row["number"] for row in chunk]) for first, chunk in read_source(found.name, source)]
    assert [first for first, _ in chunks] == [0, 8_192, 16_384]
    assert [number for _, chunk in chunks for number in chunk] == [*range(20_000)]


def test_a_version_that_there_is_not_is_the_callers_mistake(table: Path) -> None:
    with pytest.raises(UserError, match="there is no version 9\n  allowed: 0 to 1"):
        snapshot(f"{table}@9")
    with pytest.raises(UserError, match="there is no Delta table"):
        snapshot(f"file://{table.parent}/nothing")


def test_a_table_without_rows_is_no_delivery(tmp_path: Path) -> None:
    deltalake.write_deltalake(str(tmp_path / "t"), pa.table({"number": pa.array([], pa.int64())}))
    with pytest.raises(DataError, match="the table has no rows"):
        snapshot(str(tmp_path / "t"))


def test_a_data_file_that_was_vacuumed_or_damaged_is_named(table: Path) -> None:
    found = taken(f"{table}@0")
    *others, last = found.sources
    (table / last.partition("/")[2]).unlink()
    with pytest.raises(DataError, match=r"data file country=.* cannot be read[\s\S]*deliver a version whose files"):
        list(read_source(found.name, last))
    (table / others[0].partition("/")[2]).write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read"):
        list(read_source(found.name, others[0]))


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ({"delta.columnMapping.mode": "name"}, "mapped to others"),
        ({"delta.enableDeletionVectors": "true"}, "deletionVectors"),
    ],
)
def test_a_table_that_cannot_be_read_faithfully_is_refused(
    tmp_path: Path, configuration: dict[str, str], told: str
) -> None:
    path = str(tmp_path / "t")
    deltalake.write_deltalake(path, pa.table({"number": [1]}), configuration=configuration)
    with pytest.raises(DataError, match=told):
        snapshot(path)


def test_a_table_that_another_one_has_replaced_is_not_read_in_its_place(tmp_path: Path) -> None:
    path = str(tmp_path / "t")
    deltalake.write_deltalake(path, pa.table({"number": [1]}))
    found = taken(path)
    for part in sorted((tmp_path / "t").rglob("*"), reverse=True):
        part.rmdir() if part.is_dir() else part.unlink()
    deltalake.write_deltalake(path, pa.table({"number": [2]}))
    assert rows(taken(path)) == [{"number": 2}]
    (source,) = found.sources
    assert source not in taken(path).sources
