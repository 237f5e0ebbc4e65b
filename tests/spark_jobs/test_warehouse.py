"""The warehouse job as spark-submit runs it, and when it is killed in earnest."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from sluice.local.environment import engine_environment
from sluice.local.jars import jdbc_jars
from sluice.local.spark import spark_command
from sluice.settings import settings
from spark_jobs.exporting import Order, export
from tests.spark_jobs.warehouses import AT, FILE, Ledger

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
ROWS = 400_000


def job(ledger: Ledger, *arguments: str) -> subprocess.Popen[str]:
    """The job in a process group of its own, in a folder of its own."""
    settings.cache_clear()
    way, *others = arguments
    given = [way, "--pipeline", str(FILE), "--lake", str(ledger.folder / "lake"), "--at", str(AT), *others]
    return subprocess.Popen(
        spark_command(settings(), "warehouse", given, jdbc_jars()),
        env={**os.environ, **engine_environment(settings()), "PYTHONPATH": str(ROOT)},
        cwd=ledger.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill_when(process: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    """Kill a job and all that it began (kill -9) as soon as something has happened, and it is not done."""
    while not happened():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_an_import_that_is_killed_is_finished_by_the_next_one(ledger: Ledger) -> None:
    ledger.pay(1, 50)
    process = job(ledger, "import", "--batch", "first", "--folder", str(ledger.folder / "imports"))
    kill_when(process, lambda: ledger.lake.version("imports") == 0)
    ledger.pay(51, 60, "2026-01-01 10:20+00")
    ledger.bring()
    assert ledger.ids() == list(range(1, 61))
    assert ledger.sums().waiting == 0


def test_an_export_that_is_killed_leaves_what_was_there(ledger: Ledger) -> None:
    uri = ledger.lake.uri("vectors")
    deltalake.write_deltalake(uri, pa.table({"event_id": [-1]}))
    order = Order(str(ledger.folder / "lake"), "ledger", "vectors", "ledger_vectors", AT)
    export(ledger.jdbc, order)
    deltalake.write_deltalake(uri, pa.table({"event_id": range(ROWS)}), mode="overwrite")

    process = job(ledger, "export", "--table", "vectors", "--into", "ledger_vectors")
    staged = "SELECT 1 FROM pg_tables WHERE tablename = 'ledger_vectors__staging'"
    kill_when(process, lambda: bool(ledger.postgres.run(staged)))
    assert ledger.postgres.run("SELECT event_id FROM ledger_vectors") == [(-1,)]

    export(ledger.jdbc, order)
    told = ledger.postgres.run("SELECT count(*), count(DISTINCT event_id), min(event_id) FROM ledger_vectors")
    assert told == [(ROWS, ROWS, 0)]
    assert ledger.postgres.run(staged) == []


def test_a_wrong_password_is_the_callers_mistake_and_told_to_nobody(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_WAREHOUSE_PASSWORD", "guessed-in-vain")
    process = job(ledger, "import", "--batch", "first", "--folder", str(ledger.folder / "imports"))
    said = "".join(process.communicate())
    assert process.returncode == 2
    assert "UserError: jdbc:postgresql://127.0.0.1:" in said
    assert 'password authentication failed for user "sluice"' in said
    assert "guessed-in-vain" not in said
    assert "guessed-in-vain" not in " ".join(map(str, process.args))
