"""Everything is computed by ranges of days, goes on from what runs before have done, and is shown when it is whole."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluice.declare.durations import DAY
from sluice.errors import UserError
from sluice.lake.days import Days
from sluice.lake.keeping.vacuum import leftovers, unneeded
from sluice.lake.pieces import Piece, counted, own
from sluice.lake.plan import Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.lake.test_backfill import AT, expected, published
from tests.sluice.lake.test_daily import assert_rows, assert_whole, gone_on
from tests.sluice.stream.feeds import START, feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

FIRST, LAST = START - 2 * DAY, START + 2 * DAY
"""Between them everything happens."""


class Died(Exception):
    pass


class Counting(Here):
    """Counts the tasks that leave a mark, and dies in place of one of them."""

    def __init__(self, dying: int | None = None) -> None:
        self.done: list[str] = []
        self._dying = dying

    def each(self, task, work, *, rows):  # noqa: ARG002
        return [self._one(task, piece) for piece in work]

    def _one(self, task: Callable[..., Any], piece: Any) -> Any:
        if task.func.__name__ != "_marked":
            return task(piece)
        if self._dying == len(self.done):
            raise Died
        self.done.append(f"{Path(task.args[1]).name}/{piece[0]}")
        return task(piece)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = History(tmp_path_factory.mktemp("ingested"), pipeline)
    made.deliver("files", feed(seed=32, size=700))
    return made.folder


@pytest.fixture
def history(ingested: Path, tmp_path: Path) -> History:
    shutil.copytree(ingested / "lake", tmp_path / "lake")
    return History(tmp_path, pipeline)


def plan(history: History, *, most: int = 150, per_range: int = 100) -> Plan:
    lake = str(history.folder / "lake")
    return Plan(str(FILE), lake, history.lake.version("batches"), AT, parts=2, most=most, per_range=per_range)


def assert_is_whole(history: History) -> None:
    assert_whole(history, AT)
    assert history.ailments() == []
    assert not list(Path(history.lake.uri("work")).iterdir())


def quiet(line: str) -> None:
    pass


@pytest.mark.parametrize("seed", random.SystemRandom().sample(range(10**6), 2))
def test_whatever_days_are_asked_for_first_the_result_is_that_of_one_run(
    history: History, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    asked = [(START + chance.randrange(-2, 2) * DAY, chance.randrange(1, 3) * DAY) for _ in range(3)]
    for first, length in asked:
        some = replace(plan(history), per_range=chance.choice([1, 80, 10**6]))
        with suppress(UserError):  # there may be nothing on those days
            backfill(Here(), some, asked=Days(first, first + length), tell=quiet)
    backfill(Here(), plan(history), tell=quiet)
    assert_is_whole(history)


def test_days_are_computed_by_themselves_and_nothing_is_shown_before_all_are(history: History) -> None:
    told: list[str] = []
    worked = Counting()
    backfill(worked, plan(history), asked=Days(START, START + DAY), tell=told.append)
    assert history.lake.open("vectors") is None
    assert {one.partition("/")[0] for one in worked.done if "2024" in one} == {
        "compute-2024-02-03",
        "assemble-2024-02-03",
    }
    assert told[-1].startswith("nothing is shown before the other days are computed, too: the same call with --base 1 ")

    rest = Counting()
    backfill(rest, plan(history), tell=quiet)
    assert not {one for one in rest.done if one.startswith(("deal", "relate", "count")) or "2024-02-03" in one}
    assert_is_whole(history)


def test_a_backfill_can_go_on_from_one_that_was_computed_by_ranges(tmp_path: Path) -> None:
    history, messages = History(tmp_path, pipeline), feed(seed=8, size=700)
    history.deliver("first", messages[:500])
    first = replace(plan(history), at=messages[499].at)
    backfill(Here(), first, tell=quiet)
    history.deliver("second", messages[500:])
    at = messages[-1].at
    (told,) = gone_on(history, at)
    assert told.startswith("going on from")
    assert_whole(history, at)


def test_vectors_as_they_were_served_are_computed_by_ranges_too(history: History) -> None:
    served = plan(history).as_served()
    backfill(Here(), served, asked=Days(START, START + DAY), tell=quiet)
    backfill(Here(), served, tell=quiet)
    found = history.lake.read("vectors_as_served").sort_by("event_id")
    assert found.to_pydict() == expected(pipeline, dict(history.versions()), AT, "as_served").to_pydict()
    assert_rows(history, "as_served")


def test_a_run_that_dies_in_any_task_is_gone_on_from_with_the_next_one(history: History) -> None:
    """Died of each in turn: as many tasks are done in all as in a run that nothing disturbs, each of them once."""
    whole = Counting()
    alone = History(history.folder / "alone", pipeline)
    shutil.copytree(history.folder / "lake", alone.folder / "lake")
    backfill(whole, plan(alone), tell=quiet)

    done: list[str] = []
    for dying in range(1, 10**6):
        run = Counting(dying=3 if dying < 10 else 7)
        try:
            backfill(run, plan(history), tell=quiet)
        except Died:
            done += run.done
        else:
            done += run.done
            break
        assert history.lake.open("vectors") is None
    assert done == whole.done
    assert len(done) == len(set(done)) > 20
    assert published(history).to_pydict() == published(alone).to_pydict()
    assert_is_whole(history)


def test_a_run_that_could_not_publish_all_computes_nothing_again(history: History) -> None:
    """What is in the way of the vectors, the last of its tables, is taken away after the first run."""
    obstacle = Path(history.lake.uri("vectors/_delta_log"))
    obstacle.parent.mkdir()
    obstacle.touch()
    with pytest.raises(OSError, match="_delta_log"):
        backfill(Here(), plan(history), tell=quiet)
    assert history.lake.version("tiles/risk") == 0
    obstacle.unlink()

    run = Counting()
    backfill(run, plan(history), tell=quiet)
    assert run.done == []
    assert_is_whole(history)


def test_of_a_run_that_died_long_ago_what_a_vacuum_took_is_computed_again(history: History) -> None:
    backfill(Here(), plan(history), asked=Days(START, START + DAY), tell=quiet)
    for path in Path(history.lake.uri("vectors")).rglob("*.parquet"):
        path.unlink()
    for path in Path(history.lake.uri("rows/spend")).rglob("*.parquet"):
        path.unlink()
    backfill(Here(), plan(history), tell=quiet)
    assert_is_whole(history)


def test_of_files_that_were_written_anew_since_everything_is_dealt_again(history: History) -> None:
    with pytest.raises(Died):
        backfill(Counting(dying=3), plan(history), tell=quiet)
    history.lake.open("silver/payments").optimize.z_order(["_time"])
    run = Counting()
    backfill(run, plan(history), tell=quiet)
    assert [one for one in run.done if one.startswith("deal")] != []
    assert_is_whole(history)


def test_what_was_forgotten_since_does_not_come_back_from_what_was_counted_before(history: History) -> None:
    backfill(Here(), plan(history), asked=Days(START, START + DAY), tell=quiet)
    history.lake.open("silver/payments").delete("card = 7")
    backfill(Here(), plan(history), tell=quiet)
    assert 7 not in history.lake.read("vectors").column("card").to_pylist()
    assert_whole(history, AT)


def test_the_work_of_a_run_that_died_goes_a_week_later(history: History) -> None:
    with pytest.raises(Died):
        backfill(Counting(dying=5), plan(history), tell=quiet)
    (work,) = Path(history.lake.uri("work")).iterdir()
    assert leftovers(history.lake) == []
    old = time.time() - 8 * 86_400
    for path in work.rglob("*"):
        os.utime(path, (old, old))
    assert [name for name, _ in leftovers(history.lake)] == [f"work/{work.name}"]
    assert unneeded(history.lake, "vectors", []) == []


def test_days_alone_cannot_be_computed_where_there_is_a_backfill_to_go_on_from(history: History) -> None:
    backfill(Here(), plan(history), tell=quiet)
    later = replace(plan(history), at=AT + DAY)
    with pytest.raises(UserError, match="only 2024-02-03 cannot be computed"):
        backfill(Here(), later, asked=Days(START, START + DAY), tell=quiet)
    backfill(Here(), later, whole=True, asked=Days(FIRST, LAST), tell=quiet)
    assert_whole(history, AT + DAY)


def test_no_task_gets_more_rows_than_it_may_and_those_before_them_that_a_window_reaches(history: History) -> None:
    """What bounds a task's memory: its own rows, and of the rows before them as many as lie within its horizon."""
    seen: list[tuple[Piece, int, int]] = []
    mine = plan(history, most=60)

    class Looking(Here):
        def each(self, task, work, *, rows):
            for item in work:
                if isinstance(item, tuple) and isinstance(item[1], Piece):
                    piece, view = item[1], pipeline.view(item[1].view)
                    some = counted(mine.resumable(), piece, since=AT - view.horizon if piece.is_last else None)
                    first = piece.begin if piece.begin is not None else -(2**62)
                    reach = min(first - view.reach, AT - view.horizon if piece.is_last else first)
                    assert all(time >= reach for time in some.column("time").to_pylist())
                    seen.append((piece, len(some), len(own(piece, some))))
            return super().each(task, work, rows=rows)

    backfill(Looking(), mine, tell=quiet)
    assert len(seen) > 30
    assert max(rows for _, _, rows in seen) <= 60
    assert_is_whole(history)
