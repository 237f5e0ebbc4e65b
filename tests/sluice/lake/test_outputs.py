"""Where values may go: nowhere that would destroy what somebody else put there."""

from __future__ import annotations

from pathlib import Path

import deltalake
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sluice.errors import UserError
from sluice.lake.outputs import REFUSED, check_output, staged

pytestmark = pytest.mark.integration

VALUES = pa.table({"id": [1, 2], "v__count_1d": [0.5, None]})


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A Delta table of events and a file of them, `events` and `events.parquet`."""
    deltalake.write_deltalake(tmp_path / "events", VALUES)
    pq.write_table(VALUES, tmp_path / "events.parquet")
    return tmp_path


def write(out: Path, values: pa.Table = VALUES, refused: pa.Table | None = None) -> None:
    with staged(out) as folder:
        pq.write_table(values, folder / "000000.parquet")
        if refused is not None:
            pq.write_table(refused, folder / REFUSED)


@pytest.mark.parametrize(
    ("out", "read"),
    [
        ("events", "events"),
        ("events.parquet", "events.parquet"),
        ("events/values.parquet", "events"),
        ("events/values", "events"),
        ("events", "events/part.parquet"),
        ("values.parquet", "values.refused.parquet"),
        ("values", "values.refused.parquet"),
    ],
)
def test_what_is_read_is_never_written_nor_is_anything_in_it_or_around_it(events: Path, out: str, read: str) -> None:
    with pytest.raises(
        UserError, match=r"would destroy the events in(.|\n)*allowed: (.|\n)*next: choose another place"
    ):
        check_output(events / out, [events / read])


@pytest.mark.parametrize("name", ["values.csv", "values.parquet.gz", "values.v2"])
def test_another_suffix_than_parquet_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"values are not written as '\.\w+'(.|\n)*next: name it values\S*\.parquet"):
        check_output(tmp_path / name, [])


def test_a_folder_with_something_in_it_is_refused_unless_it_is_a_delta_table(events: Path) -> None:
    (events / "full").mkdir()
    (events / "full" / "note.txt").write_text("mine")
    (events / "empty").mkdir()
    with pytest.raises(UserError, match="the folder is no Delta table, and not empty"):
        check_output(events / "full", [])
    for name in ("empty", "events", "new"):
        check_output(events / name, [])


def test_a_file_is_no_place_for_a_table_nor_a_folder_one_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "values").write_text("")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(UserError, match="it is a file"):
        check_output(tmp_path / "values", [])
    with pytest.raises(UserError, match="it is a folder"):
        check_output(tmp_path / "folder.parquet", [])


def test_a_delta_table_that_cannot_take_the_values_is_refused_before_they_are_computed(tmp_path: Path) -> None:
    deltalake.write_deltalake(tmp_path / "parts", VALUES, partition_by=["id"])
    (tmp_path / "broken" / "_delta_log").mkdir(parents=True)
    with pytest.raises(UserError, match="the Delta table is partitioned"):
        check_output(tmp_path / "parts", [])
    with pytest.raises(UserError, match="the Delta table cannot be read"):
        check_output(tmp_path / "broken", [])


@pytest.mark.parametrize("name", ["values.parquet", "values"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"it cannot be written: Not a directory(.|\n)*that you may write to"):
        write(tmp_path / "file" / name)


def test_an_earlier_file_is_replaced_and_so_are_its_refused_rows(tmp_path: Path) -> None:
    out, refused = tmp_path / "values.parquet", tmp_path / "values.refused.parquet"
    write(out, refused=VALUES)
    assert pq.read_table(refused).equals(VALUES)
    write(out, VALUES.slice(0, 1))
    assert pq.read_table(out).equals(VALUES.slice(0, 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["values.parquet"]


def test_an_earlier_delta_table_gets_a_version_with_these_values_alone(tmp_path: Path) -> None:
    write(tmp_path / "values")
    write(tmp_path / "values", VALUES.slice(1))
    table = deltalake.DeltaTable(tmp_path / "values")
    assert (table.version(), table.to_pyarrow_table()) == (1, VALUES.slice(1))
    table.load_as_version(0)
    assert table.to_pyarrow_table().equals(VALUES)


@pytest.mark.parametrize("name", ["values.parquet", "values"])
def test_a_computation_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path, name: str) -> None:
    def half(folder: Path) -> None:
        (folder / "000000.parquet").write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), staged(tmp_path / name) as folder:
        half(folder)
    assert list(tmp_path.iterdir()) == []
