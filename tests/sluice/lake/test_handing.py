"""What tasks hand to each other is read as one table, a span of time by itself, and never half."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from sluice.lake.files import whole_file
from sluice.lake.handing import hand_over, handed_over

pytestmark = pytest.mark.unit


def table(times: list[int]) -> pa.Table:
    return pa.table({"time": pa.array(times, pa.int64()), "text": [str(time) for time in times]})


def test_a_span_of_time_is_read_from_every_file_by_itself(tmp_path: Path) -> None:
    hand_over(f"{tmp_path}/a.arrow", table([5, 1, 3]), by="time")
    hand_over(f"{tmp_path}/b.arrow", table([4, 2]), by="time")
    hand_over(f"{tmp_path}/c.arrow", table([9, 3]))
    found = handed_over(str(tmp_path), since=2, before=5)
    assert found.to_pydict() == {"time": [3, 2, 4, 3], "text": ["3", "2", "4", "3"]}
    assert handed_over(str(tmp_path), since=10).to_pydict() == {"time": [], "text": []}


def test_a_span_of_a_long_file_reads_little_of_it(tmp_path: Path) -> None:
    times = np.random.default_rng(7).permutation(400_000)
    uri = f"{tmp_path}/a.arrow"
    hand_over(uri, pa.table({"_time": times}), by="_time")
    read = pa.total_allocated_bytes()
    found = handed_over(str(tmp_path), since=100_000, before=100_010, by="_time")
    assert found.column("_time").to_pylist() == list(range(100_000, 100_010))
    assert pa.total_allocated_bytes() - read < 100_000
    with pa.ipc.open_file(uri) as reader:
        assert reader.num_record_batches > 40


def test_a_file_that_is_being_written_is_not_there_and_one_that_failed_leaves_nothing(tmp_path: Path) -> None:
    with whole_file(f"{tmp_path}/a.arrow") as sink:
        sink.write(b"half")
        assert handed_over(str(tmp_path)) is None
    assert (tmp_path / "a.arrow").read_bytes() == b"half"
    with pytest.raises(ZeroDivisionError), whole_file(f"{tmp_path}/b.arrow") as sink:
        raise ZeroDivisionError
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.arrow"]


def test_two_that_write_the_same_file_do_not_tear_it(tmp_path: Path) -> None:
    with whole_file(f"{tmp_path}/a") as one, whole_file(f"{tmp_path}/a") as other:
        one.write(b"one")
        other.write(b"other")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_column_is_read_without_the_others(tmp_path: Path) -> None:
    hand_over(f"{tmp_path}/a.arrow", table([1, 2]), by="time")
    assert handed_over(str(tmp_path), columns=["time"]).column_names == ["time"]
