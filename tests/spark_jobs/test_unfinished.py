"""A backfill over everything that died is gone on with by the next one, though that is for a later moment."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.lake.plan import Plan
from sluice.local.processes import start_time
from spark_jobs.backfill import backfill
from spark_jobs.unfinished import unfinished
from tests.sluice.lake.test_daily import assert_whole
from tests.sluice.lake.test_whole import Counting, Died
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

MESSAGES = feed(seed=21, size=300)
FIRST, AT = MESSAGES[199].at, MESSAGES[-1].at


@pytest.fixture(scope="module")
def died(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred messages, and what a backfill for `FIRST` has left that died in its sixth task."""
    made = History(tmp_path_factory.mktemp("died"), pipeline)
    made.deliver("first", MESSAGES[:200])
    with pytest.raises(Died):
        backfill(Counting(dying=5), plan(made, FIRST), tell=lambda _: None)
    return made.folder


@pytest.fixture
def history(died: Path, tmp_path: Path) -> History:
    shutil.copytree(died / "lake", tmp_path / "lake")
    return History(tmp_path, pipeline)


def plan(history: History, at: int, **changes: Any) -> Plan:
    whole = Plan(str(FILE), str(history.folder / "lake"), history.lake.version("batches"), at, parts=2, most=150)
    return replace(whole, **changes)


def left(history: History, at: int = AT, **changes: Any) -> int | None:
    """The moment of the work that a backfill would go on with."""
    found = unfinished(plan(history, at, **changes))
    return None if found is None else found.at


def test_it_is_finished_and_then_gone_on_from_for_what_has_come_since(history: History, tmp_path: Path) -> None:
    alone, whole = History(tmp_path / "alone", pipeline), Counting()
    shutil.copytree(history.folder / "lake", alone.folder / "lake")
    shutil.rmtree(alone.lake.uri("work"))
    backfill(whole, plan(alone, FIRST), tell=lambda _: None)

    history.deliver("second", MESSAGES[200:])
    told: list[str] = []
    rest = Counting()
    backfill(rest, plan(history, AT), tell=told.append)
    assert told[0] == f"going on with the backfill for {rfc3339(FIRST)}, which was not finished"
    assert told[-1].startswith(f"going on from {rfc3339(FIRST)}: ")
    # five tasks were done, and none of them is done again
    assert rest.done == whole.done[5:]
    assert [
        (row["at"], row["state"]) for row in sorted(history.lake.rows("backfills"), key=lambda row: row["number"])
    ] == [
        (FIRST, "publishing"),
        (FIRST, "done"),
        (AT, "publishing"),
        (AT, "done"),
    ]
    assert_whole(history, AT)
    assert not list(Path(history.lake.uri("work")).iterdir())


def test_what_was_dealt_before_files_were_written_anew_is_dealt_again_under_the_same_note(history: History) -> None:
    history.lake.open("silver/payments").optimize.z_order(["_time"])
    with pytest.raises(Died):
        backfill(Counting(dying=2), plan(history, AT), tell=lambda _: None)
    assert left(history) == FIRST
    backfill(Counting(), plan(history, AT), tell=lambda _: None)
    assert_whole(history, AT)


def test_it_is_left_alone_by_one_that_asks_for_something_else(history: History) -> None:
    assert left(history) == FIRST
    assert left(history, at=FIRST - 1) is None
    assert left(history, parts=3) is None
    assert left(history, most=151) is None
    assert left(history, since=FIRST - HOUR) is None
    assert left(history, erasures=1) is None
    assert left(history, knowledge="as_served") is None
    told: list[str] = []
    backfill(Counting(), plan(history, AT), whole=True, tell=told.append)
    assert told[0] == "computing everything: so it was asked for"
    history.deliver("second", MESSAGES[200:])
    assert left(history) == FIRST


def test_it_is_left_alone_when_more_is_new_than_old(history: History) -> None:
    history.deliver("most", feed(seed=22, size=700))
    assert left(history) is None


def test_it_is_left_alone_while_its_process_runs(history: History) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        noted(history, process=other.pid, started=start_time(other.pid))
        assert left(history) is None
        noted(history, process=other.pid, started=start_time(other.pid) - 60)
        assert left(history) == FIRST
        noted(history, process=other.pid, started=start_time(other.pid))
        other.kill()
    assert left(history) == FIRST


def test_of_another_machine_it_is_left_alone_until_nobody_has_written_for_a_while(history: History) -> None:
    noted(history, host=f"not-{socket.gethostname()}")
    assert left(history) is None
    for path in Path(history.lake.uri("work")).rglob("*"):
        os.utime(path, (time.time() - 660,) * 2)
    assert left(history) == FIRST


def noted(history: History, **changes: object) -> None:
    (note,) = Path(history.lake.uri("work")).glob("*/plan.json")
    note.write_text(json.dumps(json.loads(note.read_text()) | changes))
