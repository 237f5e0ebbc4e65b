"""A piece of work that is done is not done again, whoever dies in between; and how far it is can be told meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.lake.kept import Kept
from sluice.lake.progress import Progress, line
from sluice.lake.workers import Here

pytestmark = pytest.mark.unit


class Died(Exception):
    pass


def kept(folder: Path, told: list[str] | None = None) -> Kept:
    return Kept(Here(), str(folder / "done"), Progress([].append if told is None else told.append, every_s=0))


def work(folder: Path, dying: int | None = None):
    """A task that notes what it is called with, doubles it, and dies of one number."""

    def task(number: int) -> int:
        if number == dying:
            raise Died
        with (folder / "called").open("a") as file:
            file.write(f"{number} ")
        return 2 * number

    return task


def test_results_come_in_the_order_of_the_work_whether_they_were_there_or_not(tmp_path: Path) -> None:
    with pytest.raises(Died):
        kept(tmp_path).each("double", work(tmp_path, dying=3), {"c": 7, "a": 2, "b": 3, "d": 4}, rows=4)
    assert kept(tmp_path).results("double") == {"a": 4, "c": 14}

    assert kept(tmp_path).each("double", work(tmp_path), {"c": 7, "a": 2, "b": 3, "d": 4}, rows=4) == [14, 4, 6, 8]
    assert (tmp_path / "called").read_text() == "7 2 3 4 "


def test_steps_of_other_names_and_marks_taken_back_are_done_again(tmp_path: Path) -> None:
    mine = kept(tmp_path)
    for step in ("one", "two"):
        mine.each(step, work(tmp_path), {"a": 1, "b": 2}, rows=2)
    mine.forget("one", "a")
    mine.forget("two")
    assert (mine.count("one"), mine.count("two")) == (1, 0)
    for step in ("one", "two"):
        mine.each(step, work(tmp_path), {"a": 1, "b": 2}, rows=2)
    assert (tmp_path / "called").read_text() == "1 2 1 2 1 1 2 "


def test_a_step_is_told_at_its_end_and_one_that_was_done_before_is_not_told(tmp_path: Path) -> None:
    told: list[str] = []
    with pytest.raises(Died):
        kept(tmp_path, told).each("double", work(tmp_path, dying=3), {"a": 2, "b": 3}, rows=100)
    kept(tmp_path, told).each("double", work(tmp_path), {"a": 2, "b": 3}, rows=100)
    kept(tmp_path, told).each("double", work(tmp_path), {"a": 2, "b": 3}, rows=100)
    assert [one.partition(" rows,")[0] for one in told] == [
        "double: 2 of 2 pieces, about 100 of 100",
    ]


def test_a_step_that_takes_no_time_is_not_told(tmp_path: Path) -> None:
    told: list[str] = []
    quick = Kept(Here(), str(tmp_path / "done"), Progress(told.append))
    quick.each("double", work(tmp_path), {"a": 2}, rows=100)
    assert told == []


def test_a_long_step_is_told_while_it_runs(tmp_path: Path) -> None:
    told: list[str] = []
    slow = Kept(Here(), str(tmp_path / "done"), Progress(told.append, every_s=0.01))

    def wait(number: int) -> None:
        seen = len(told)
        while len(told) == seen:
            pass

    slow.each("wait", wait, {"a": 1, "b": 2}, rows=100)
    assert told[0] == "wait: 0 of 2 pieces, about 0 of 100 rows"
    assert any(one.startswith("wait: 1 of 2 pieces, about 50 of 100 rows, ") for one in told)


def test_the_time_that_is_left_is_told_by_what_this_run_has_done() -> None:
    assert line("compute", 48, 16, 64, 6_400_000, 32) == (
        "compute: 48 of 64 pieces, about 4,800,000 of 6,400,000 rows, 100,000 rows/s, 16 s left"
    )
    assert line("compute", 16, 16, 64, 6_400_000, 32) == "compute: 16 of 64 pieces, about 1,600,000 of 6,400,000 rows"
