"""Whoever wrote a file, and whichever bounds it has: a filter finds the rows that it finds in the whole table."""

from __future__ import annotations

import json
import operator
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake.transaction import AddAction
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.lake.publish import commit_folder
from sluice.lake.scanning import dataset_of
from sluice.lake.tables import Lake
from tests.properties import examples
from tests.sluice.lake.test_files import stage

pytestmark = pytest.mark.unit

SCHEMA = pa.schema({"n": pa.int8(), "s": pa.string()})
TEXTS = st.sampled_from([None, "", "a", "b", "x" * 130, "x" * 130 + "y"])
ROWS = st.lists(st.tuples(st.sampled_from([None, 0, 1, 2]), TEXTS), min_size=1, max_size=4)
WRITERS = st.sampled_from(["ours", "deltalake", "only n", "only s", "without bounds", "without anything"])


@settings(max_examples=examples(200))
@given(st.lists(st.tuples(WRITERS, ROWS), min_size=1, max_size=4), st.sampled_from([0, 2]), TEXTS.filter(bool))
def test_a_filter_finds_the_rows_that_it_finds_in_the_whole_table(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, list[Any]]], number: int, text: str
) -> None:
    lake = Lake(str(tmp_path_factory.mktemp("lake")), "shop")
    tables = [pa.table(dict(zip(SCHEMA.names, zip(*rows, strict=True), strict=True)), SCHEMA) for _, rows in files]
    for place, ((writer, _), table) in enumerate(zip(files, tables, strict=True)):
        _write(lake, str(place), writer, table)
    whole, held = pa.concat_tables(tables), lake.open("t")
    assert held is not None
    for name, value in (("n", number), ("s", text)):
        for condition in _conditions(ds.field(name), value):
            found = dataset_of(held).to_table(filter=condition)
            assert sorted(map(str, found.to_pylist())) == sorted(map(str, whole.filter(condition).to_pylist()))
            assert lake.count("t", where=condition) == len(found)


def _conditions(field: ds.Expression, value: Any) -> list[ds.Expression]:
    compared = [sign(field, value) for sign in (operator.eq, operator.ne, operator.lt, operator.gt)]
    plain = [*compared, field.isin([value]), field.is_null(), field.is_valid(), field.is_null() | (field != value)]
    return [*plain, *(~one for one in plain)]


def _told(writer: str, rows: pa.Table) -> dict[str, Any]:
    """The statistics that a writer leaves."""
    told = {"numRecords": len(rows)}
    if writer == "without anything":
        return told
    names = [name for name in SCHEMA.names if writer in {f"only {name}", "without bounds"}]
    nulls = {name: rows.column(name).null_count for name in names}
    if writer == "without bounds":
        return told | {"nullCount": nulls}
    ends = {name: pc.min_max(rows.column(name)).as_py() for name in names if nulls[name] < len(rows)}
    bounds = {f"{end}Values": {name: both[end] for name, both in ends.items()} for end in ("min", "max")}
    return told | bounds | {"nullCount": nulls}


def _write(lake: Lake, name: str, writer: str, rows: pa.Table) -> None:
    """Append a file as one of them does; others leave statistics of one column alone, no bounds, or nothing."""
    if writer == "ours":
        stage(lake, name, rows)
        commit_folder(lake, "t", name, markers=[name])
        return
    held = lake.open("t")
    if writer == "deltalake" or held is None:
        lake.append("t", rows)
        return
    path = Path(lake.uri("t")) / f"{name}.parquet"
    pq.write_table(rows, path)
    is_new = True
    action = AddAction(path.name, path.stat().st_size, {}, 0, is_new, json.dumps(_told(writer, rows)))
    table = deltalake.DeltaTable(lake.uri("t"))
    table.create_write_transaction([action], "append", table.schema(), [])


def test_a_time_is_found_though_statistics_have_only_its_milliseconds(tmp_path: Path) -> None:
    times = pa.array([100, 1_999], pa.timestamp("us", "UTC"))
    for numbers in ([None, None], [1, 2]):
        deltalake.write_deltalake(
            str(tmp_path), pa.table({"t": times, "n": pa.array(numbers, pa.int64())}), mode="append"
        )

    found = dataset_of(deltalake.DeltaTable(str(tmp_path)))

    moment = pa.scalar(1_500, pa.timestamp("us", "UTC"))
    assert found.count_rows(filter=ds.field("t") >= moment) == 2
    assert found.count_rows(filter=ds.field("t") < moment) == 2
