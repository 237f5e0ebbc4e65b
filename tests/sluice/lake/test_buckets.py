"""Rows in buckets: what joined and did not leave."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from sluice.errors import DataError
from sluice.lake.buckets import JOINED, LEFT, laid, of_entities, signed
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit


def rows(*found: tuple[int, int]) -> pa.Table:
    keys, times = zip(*found, strict=True)
    return pa.table({"key": pa.array(keys, pa.int64()), "time": pa.array(times, pa.int64())})


def lake_of(folder: Path, *tables: pa.Table) -> Lake:
    lake = Lake(str(folder), "shop")
    for table in tables:
        lake.append("rows/x", table)
    return lake


def test_a_row_stands_as_often_as_it_joined_and_did_not_leave(tmp_path: Path) -> None:
    twice, once = rows((1, 5), (1, 5), (2, 6)), rows((1, 5))
    lake = lake_of(tmp_path, signed(twice, 0, JOINED), signed(rows((3, 7)), 1, JOINED), signed(once, 0, LEFT))
    assert laid(lake, "rows/x", 0).sort_by("key").to_pylist() == [{"key": 1, "time": 5}, {"key": 2, "time": 6}]
    assert laid(lake, "rows/x", 0, since=6).to_pylist() == [{"key": 2, "time": 6}]
    assert laid(lake, "rows/x", 0, keys=pa.array([1])).to_pylist() == [{"key": 1, "time": 5}]
    more = signed(rows((1, 5)), 0, LEFT)
    assert laid(lake, "rows/x", 0, keys=pa.array([1]), fresh=more).num_rows == 0


def test_a_row_that_left_without_having_joined_is_told_and_keeps_nobody_from_being_forgotten(tmp_path: Path) -> None:
    lake = lake_of(tmp_path, signed(rows((1, 5), (2, 6)), 0, JOINED), signed(rows((1, 4)), 0, LEFT))
    with pytest.raises(DataError, match="1 row of a view left that had not joined"):
        laid(lake, "rows/x", 0)
    assert of_entities(lake, "rows/x", pa.array([1])).to_pylist() == [{"key": 1, "time": 5}]
