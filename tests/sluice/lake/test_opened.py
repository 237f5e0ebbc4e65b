"""Opened tables: a log is read once while it stands still, and nobody is ever shown what is not there any more."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.lake.publish import BATCHES
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit

MakeLake = Callable[[], Lake]


@pytest.fixture
def another(tmp_path: Path) -> MakeLake:
    """The same lake as another process has it."""
    return lambda: Lake(str(tmp_path / "in"), "shop")


def numbers(*given: int) -> pa.Table:
    return pa.table({"n": pa.array(given, pa.int64())})


def read(lake: Lake) -> list[int]:
    return sorted(lake.read("x").column("n").to_pylist())


def test_a_table_is_opened_once_while_nobody_writes(another: MakeLake) -> None:
    lake = another()
    lake.append("x", numbers(1))
    assert lake.open("x") is lake.open("x")


def test_what_a_process_has_written_itself_it_need_not_open_again(another: MakeLake) -> None:
    lake = another()
    lake.append("x", numbers(1))
    lake.append("x", numbers(2))
    found = lake.open("x")
    assert found is not None
    assert (found.version(), read(lake)) == (1, [1, 2])
    assert lake.open("x") is found


def test_what_another_process_commits_is_seen_at_the_next_look(another: MakeLake) -> None:
    lake, other = another(), another()
    assert lake.version("x") == -1
    other.append("x", numbers(1))
    assert read(lake) == [1]
    for number in range(2, 15):  # past a checkpoint
        other.append("x", numbers(number))
        assert (lake.version("x"), read(lake)) == (number - 1, list(range(1, number + 1)))


def test_a_table_that_was_handed_out_stays_the_version_that_it_was(another: MakeLake) -> None:
    lake = another()
    lake.append("x", numbers(1))
    found = lake.open("x")
    lake.append("x", numbers(2))
    another().append("x", numbers(3))
    assert found is not None
    assert (found.version(), lake.version("x")) == (0, 2)


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_table_that_was_made_anew_is_not_taken_for_the_old_one(another: MakeLake, commits: int) -> None:
    lake = another()
    for _ in range(2):
        lake.append("x", numbers(1))
    assert read(lake) == [1, 1]
    shutil.rmtree(lake.uri("x"))
    assert lake.open("x") is None
    for _ in range(commits):
        another().append("x", numbers(22_222))
    assert read(lake) == [22_222] * commits


def test_what_another_process_publishes_is_published(another: MakeLake) -> None:
    lake, other = another(), another()
    for number, batch in enumerate(("b", "a")):
        row = {"batch": batch, "stream": "orders", "at": -number, "sources": "{}", "watermarks": "{}"}
        other.append_rows("batches", [row], BATCHES)
        assert lake.shows("orders", batch)
    assert [row["batch"] for row in lake.published()] == ["a", "b"]


def test_a_worker_is_sent_the_place_and_no_open_table(another: MakeLake) -> None:
    lake = another()
    lake.append("x", numbers(1))
    assert read(lake) == [1]
    sent = copy.copy(lake)  # by what pickling asks for
    assert (sent.root, sent.pipeline, read(sent)) == (lake.root, "shop", [1])
