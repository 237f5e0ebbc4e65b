"""Parquet files that a Delta commit names: their statistics, and tables that grow by columns."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from sluice.errors import DataError, Outage
from sluice.lake.files import read_file, remove, staged_files, write_parquet
from sluice.lake.handing import hand_over, handed_over
from sluice.lake.publish import commit_folder
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def stage(lake: Lake, folder: str, *tables: pa.Table) -> None:
    for number, table in enumerate(tables):
        write_parquet(lake.uri(f"t/{folder}/{number}.parquet"), [table], table.schema)


def test_files_are_named_once_by_their_marker(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}), pa.table({"n": [2, 3]}))
    assert commit_folder(lake, "t", "one", markers=["a"])
    assert not commit_folder(lake, "t", "one", markers=["a"])
    stage(lake, "two", pa.table({"n": [4]}))
    assert commit_folder(lake, "t", "two", markers=["b", "c"])
    assert sorted(row["n"] for row in lake.rows("t")) == [1, 2, 3, 4]


def test_another_process_that_did_a_part_of_it_is_an_outage(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}))
    commit_folder(lake, "t", "one", markers=["a"])
    with pytest.raises(Outage, match=r"another process wrote a part of the same \(1 of 2\)"):
        commit_folder(lake, "t", "one", markers=["a", "b"])


def test_files_without_rows_and_folders_without_files_are_no_commit(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": pa.array([], pa.int64())}))
    assert not commit_folder(lake, "t", "one", markers=["a"])
    assert not commit_folder(lake, "t", "none", markers=["a"])
    assert lake.version("t") == -1


def test_a_version_may_replace_all_files_and_their_schema(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}))
    commit_folder(lake, "t", "one", markers=["a"])
    stage(lake, "two", pa.table({"m": ["x"]}))
    commit_folder(lake, "t", "two", markers=["b"], replace=True)
    assert lake.rows("t") == [{"m": "x"}]
    assert lake.read("t", version=0).to_pylist() == [{"n": 1}]


def test_a_new_column_is_null_before_it(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}))
    commit_folder(lake, "t", "one", markers=["a"])
    stage(lake, "two", pa.table({"n": [2], "m": ["x"]}))
    commit_folder(lake, "t", "two", markers=["b"])
    assert sorted(lake.rows("t"), key=lambda row: row["n"]) == [{"n": 1, "m": None}, {"n": 2, "m": "x"}]


def test_a_column_of_another_type_is_a_data_error_and_nothing_is_written(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}))
    commit_folder(lake, "t", "one", markers=["a"])
    stage(lake, "two", pa.table({"n": ["text"]}))
    with pytest.raises(DataError, match="columns changed their type"):
        commit_folder(lake, "t", "two", markers=["b"])
    assert lake.rows("t") == [{"n": 1}]


def test_readers_skip_files_by_their_bounds_and_never_lose_a_null(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [5, None, 7]}), pa.table({"n": [8, 9, 9]}))
    commit_folder(lake, "t", "one", markers=["a"])
    assert [lake.count("t", where=where) for where in (ds.field("n").is_null(), ds.field("n") > 6)] == [1, 4]
    remove(lake.uri("t/one/1.parquet"))  # who looks for less than 8 never opens it
    assert lake.rows("t", where=ds.field("n") < 6) == [{"n": 5}]


def test_bounds_are_told_of_whole_numbers_and_short_texts_only(lake: Lake) -> None:
    rows = {
        "n": [2, 1],
        "s": ["b", None],
        "long": ["x" * 200, "y"],
        "real": [1.5, 2.5],
        "money": pa.array([Decimal("1.00"), None], pa.decimal128(18, 2)),
        "when": pa.array([1, 2], pa.timestamp("us", "UTC")),
        "raw": [b"x", b"y"],
        "flag": [True, False],
        "void": pa.nulls(2, pa.int64()),
        "nested": [{"n": 1}, {"n": 2}],
    }
    stage(lake, "one", pa.table(rows))
    ((action,), _) = staged_files(lake.uri("t"), "one")
    assert json.loads(action.stats) == {
        "numRecords": 2,
        "minValues": {"n": 1, "s": "b", "long": "x" * 128},
        "maxValues": {"n": 2, "s": "b", "long": "y"},
        "nullCount": {"n": 0, "s": 1, "long": 0, "real": 0, "money": 1, "when": 0, "raw": 0, "flag": 0, "void": 2},
    }


def test_the_greatest_of_long_texts_is_cut_to_one_that_is_greater(lake: Lake) -> None:
    stage(lake, "one", pa.table({"s": ["y" * 200, "a"]}))
    ((action,), _) = staged_files(lake.uri("t"), "one")
    assert json.loads(action.stats)["maxValues"] == {"s": "y" * 128 + "\U0010ffff"}


def test_a_column_with_a_row_group_of_nulls_has_the_bounds_of_the_others(lake: Lake) -> None:
    groups = [pa.table({"n": pa.array([1] * 65_536)}), pa.table({"n": pa.nulls(3, pa.int64())})]
    write_parquet(lake.uri("t/one/0.parquet"), groups, groups[0].schema)
    ((action,), _) = staged_files(lake.uri("t"), "one")
    found = json.loads(action.stats)
    assert (found["minValues"], found["maxValues"], found["nullCount"]) == ({"n": 1}, {"n": 1}, {"n": 3})


def test_what_is_handed_over_is_read_as_one_table_and_removed_as_a_whole(lake: Lake) -> None:
    for number in (1, 0):
        hand_over(lake.uri(f"work/one/{number}.arrow"), pa.table({"n": pa.array([number, None], pa.int32())}))
    found = handed_over(lake.uri("work/one"))
    assert found is not None
    assert (found.to_pydict(), found.schema.field("n").type) == ({"n": [0, None, 1, None]}, pa.int32())
    remove(lake.uri("work/one/0.arrow"))
    remove(lake.uri("work/one"))
    remove(lake.uri("work/one"))
    assert handed_over(lake.uri("work/one")) is None


def test_one_parquet_file_is_read_by_its_name(lake: Lake) -> None:
    stage(lake, "one", pa.table({"n": [1]}), pa.table({"n": [2]}))
    assert read_file(lake.uri("t/one/1.parquet")).to_pylist() == [{"n": 2}]
