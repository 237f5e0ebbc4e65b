"""Bounds: files that cannot have a row are not looked at, and no row is missed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from sluice.lake.tables import Lake
from sluice.lake.within import around, between, beyond

pytestmark = pytest.mark.unit


def lake_of(folder: Path, *files: list[Any]) -> Lake:
    lake = Lake(str(folder), "shop")
    for values in files:
        lake.append("x", pa.table({"id": values}))
    return lake


def lose(lake: Lake, least: Any) -> None:
    """Take away the file whose least value is this one, behind the log's back."""
    found = deltalake.DeltaTable(lake.uri("x"))
    for row in pa.table(found.get_add_actions(flatten=True)).to_pylist():
        if row["min.id"] == least:
            Path(lake.uri("x"), row["path"]).unlink()


@pytest.mark.parametrize(
    ("files", "bounds", "expected"),
    [
        (([1, 2, 3], [10, 11, 12]), (11, 20), [11, 12]),
        (([1, 2, 3], [10, 11, 12]), (10, 10), [10]),
        ((["a", "b"], ["it's", "k"]), ("b~", "it's"), ["it's"]),
    ],
)
def test_a_file_outside_is_not_looked_at(
    tmp_path: Path, files: tuple[list[Any], ...], bounds: tuple[Any, Any], expected: list[Any]
) -> None:
    lake = lake_of(tmp_path, *files)
    lose(lake, files[0][0])
    within = between(id=bounds)
    assert lake.read("x", within=within).column("id").to_pylist() == expected
    assert lake.count("x", within=within) == len(expected)
    assert [row["id"] for batch in lake.scan("x", within=within) for row in batch.to_pylist()] == expected


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (([-(2**62), -5], [5, 2**62]), [-5, 5]),
        ((["", "a"], ["B", "é", "𝄞"]), ["", "é", "𝄞"]),
        ((["", None], ["10", "9"]), ["", "9"]),
        ((["x" * 300, "y"], ["x" * 299]), ["x" * 300, "x" * 299]),
    ],
)
def test_around_some_values_every_one_of_them_is_found(
    tmp_path: Path, files: tuple[list[Any], ...], wanted: list[Any]
) -> None:
    lake, values = lake_of(tmp_path, *files), pa.array(wanted)
    for some in (values, *(values.slice(number, 1) for number in range(len(values)))):
        found = lake.read("x", where=ds.field("id").isin(some), within=around("id", some))
        assert sorted(found.column("id").to_pylist()) == sorted(some.to_pylist())


def test_no_value_has_no_bounds(tmp_path: Path) -> None:
    nothing = pa.array([], pa.int64())
    lake = lake_of(tmp_path, [1, 2])
    assert around("id", nothing) is None
    assert len(lake.read("x", where=ds.field("id").isin(nothing), within=around("id", nothing))) == 0


def test_a_column_that_was_declared_since_is_null_in_every_file(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, [1, 2])
    found, asked = lake.open("x"), between(id=(1, 1), since=(5, 6))
    assert found is not None
    rows = lake.dataset(found, pa.schema({"id": pa.int64(), "since": pa.int64()}), within=asked)
    assert (rows.count_rows(), rows.count_rows(filter=asked.rows)) == (2, 0)


def test_files_whose_every_row_is_reached_are_not_looked_at(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    places = [("file:x", 0, 1), ("kafka:it's", 0, 4), ("kafka:it's", 0, 5), ("kafka:it's", 1, 3), ("kafka:b", 0, 2)]
    for number, place in enumerate(places):
        columns = zip(("source", "partition", "position"), place, strict=True)
        lake.append("x", pa.table({"id": [number], **{name: [value] for name, value in columns}}))
    for number in (0, 1):
        lose(lake, number)
    asked = beyond({("kafka:it's", 0): 4, ("kafka:b", 0): 1}, "kafka:")
    assert sorted(lake.read("x", within=asked).column("id").to_pylist()) == [2, 3, 4]
    assert (
        lake.count("x", within=beyond({("kafka:b", 0): 2, ("kafka:it's", 0): 5, ("kafka:it's", 1): 3}, "kafka:")) == 0
    )
