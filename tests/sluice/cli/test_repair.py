"""`sluice repair`, as a person calls it: the job in a process of its own, and what it touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sluice.cli.main import application
from sluice.clock import FileClock
from sluice.lake.touched import note_before
from sluice.settings import settings
from tests.sluice.lake.lineage.told import runs
from tests.sluice.stream import payments
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import History
from tests.spark_jobs.deliveries import AT, HOUR, Shop, order, orders
from tests.spark_jobs.test_repair import OPEN, computed

pytestmark = pytest.mark.integration


def sluice(*arguments: str) -> Result:
    named = [*arguments, str(OPEN)]
    return CliRunner(env={"COLUMNS": "200"}).invoke(application(named), named)


def test_a_repair_tells_what_moved_since_the_one_before_and_is_told_as_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    settings.cache_clear()
    FileClock(tmp_path / "clock").move_to(AT)
    shop = Shop(tmp_path, file=OPEN)
    shop.deliver("first", orders=orders(1, 12))
    computed(shop)
    note_before(shop.lake)
    shop.deliver("late", AT + HOUR, orders=[order(40, customer="c1", ordered_at="2026-01-01 10:05:00")])
    computed(shop, AT + HOUR)  # by a repair that dies here

    FileClock(tmp_path / "clock").move_to(AT + 2 * HOUR)
    told = sluice("repair", "run").stdout.splitlines()
    assert told[:2] == [
        "2026-01-01T12:40:00Z: vectors@0 became vectors@2",
        "  orders: batch 'late', 1 rows",
    ]
    assert told[3].split()[:6] == ["vectors@0", "*", "2", "1", "0", "0"]
    assert sluice("repair", "show").stdout.splitlines() == told
    assert sluice("repair", "run").stdout == "vectors@2 is as it was: nothing has come since.\n"

    assert [one[0] for one in runs(tmp_path, "repair")] == ["START", "COMPLETE"] * 2
    assert runs(tmp_path, "repair")[1] == ("COMPLETE", {"vectors"}, {"touched"})
    begun, done = runs(tmp_path, "vectors")[:2]
    assert begun == ("START", set(), set())
    assert done[1] == {"batches", "silver/orders"}
    assert "vectors" in done[2]


def test_a_repair_that_is_killed_while_it_computes_everything_is_gone_on_with_by_the_next_one(tmp_path: Path) -> None:
    messages = feed(seed=23, size=600)
    history, clock = History(tmp_path, payments.pipeline), FileClock(tmp_path / "clock")
    history.deliver("files", messages)
    clock.move_to(first := messages[-1].at)

    killed = repairing(tmp_path, history.reference)
    while not list(Path(history.lake.uri("work")).glob("*/done/deal/*")):
        assert killed.poll() is None, killed.communicate()[0]
        time.sleep(0.001)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert history.lake.version("vectors") == -1

    clock.move_to(first + HOUR)
    again = repairing(tmp_path, history.reference)
    said, _ = again.communicate(timeout=240)
    assert again.returncode == 0, said
    assert "which was not finished" in said
    assert [row["at"] for row in sorted(history.lake.rows("backfills"), key=lambda row: row["number"])] == [
        first,
        first,
        first + HOUR,
        first + HOUR,
    ]


def repairing(home: Path, pipeline: str) -> subprocess.Popen[str]:
    """The command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sluice.cli.main", "repair", "run", pipeline],
        env=os.environ | {"SLUICE_HOME": str(home), "SLUICE_CLOCK": (home / "clock").as_uri()},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
