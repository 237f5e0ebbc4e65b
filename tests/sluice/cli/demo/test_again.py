"""What was done is done: a flow that is run again for the same moment leaves what it left."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sluice.lake.tables import Lake
from tests.sluice.cli.conftest import Loop

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1500)]

LEFT = ("audits", "drift", "performance", "decisions")


def left(lake: Lake) -> dict[str, int]:
    return {table: lake.count(table) for table in LEFT}


def test_a_watch_of_the_same_moment_adds_no_row_and_decides_nothing_anew(loop: Loop) -> None:
    lake = loop.here.lake
    at = max(row["at"] for row in lake.rows("decisions"))
    decided = [f"{row['segment']}: {row['action']}" for row in lake.rows("decisions") if row["at"] == at]
    before = left(lake)
    again = f"from flows.watch import watch; print(watch('fraud', at={at}))"

    done = subprocess.run(
        [sys.executable, "-c", again], env=dict(os.environ), capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip().splitlines()[-1] == str(decided)
    assert left(lake) == before
    assert min(before.values()) > 0
