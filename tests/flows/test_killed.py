"""A flow whose process is killed between its tasks: run again it ends with what an undisturbed one leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from flows.features import load_online
from sluice.engine.places import open_store
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.sluice.engine.stores import Contents, contents
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.histories import FILE, History
from tests.sluice.stream.payments import pipeline

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MESSAGES = feed(seed=23, size=600)
AT = max(message.at for message in MESSAGES)
PATIENCE_S = 240


def test_features_that_are_killed_between_their_tasks_are_completed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = History(tmp_path, pipeline)
    made.deliver("files", MESSAGES)
    lake = made.lake

    first = running(tmp_path)
    wait_for(first, lambda: lake.version("vectors") >= 0 and done(lake))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    version = lake.version("vectors")

    again = running(tmp_path)
    out, _ = again.communicate(timeout=PATIENCE_S)
    assert again.returncode == 0, out
    # the backfill was done: nothing of it is written again, and the tasks behind it were
    assert lake.version("vectors") == version
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.setenv("SLUICE_ONLINE", f"sqlite:///{tmp_path}/undisturbed")
    settings.cache_clear()
    load_online.fn(str(FILE), lake.version("batches"), AT)
    assert held(tmp_path / "online") == held(tmp_path / "undisturbed")
    assert made.ailments() == []
    settings.cache_clear()


def held(folder: Path) -> Contents:
    """Everything that an online store has."""
    with closing(open_store(f"sqlite:///{folder}", pipeline.name, read_only=True)) as store:
        return contents(store)


def done(lake: Lake) -> bool:
    """Whether the backfill has noted that it is done: what follows is the next task."""
    return any(row["state"] == "done" for row in lake.rows("backfills"))


def running(home: Path) -> subprocess.Popen[str]:
    """The flow in a process group of its own, with a Prefect of its own."""
    code = f"from flows.features import features; features({str(FILE)!r}, at={AT})"
    own = {"SLUICE_HOME": str(home), "PREFECT_HOME": str(home / "prefect"), "PREFECT_LOGGING_LEVEL": "ERROR"}
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=environment | own | {"PREFECT_SERVER_ALLOW_EPHEMERAL_MODE": "true"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], condition: Callable[[], bool]) -> None:
    """Wait until something holds while the process runs."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
