"""After the whole loop, with services and workers that came and went, nothing is wrong with what it left."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from sluice.lake.doctor import INVARIANTS
from tests.sluice.cli.conftest import Loop

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(1500)]


def test_the_doctor_finds_nothing_wrong_after_the_whole_loop(loop: Loop) -> None:
    command = [sys.executable, "-m", "sluice.cli.main", "doctor", loop.here.pipeline.name, "--events", "200"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    asked = len(INVARIANTS) + 2  # and the chain, and the tiles
    where, *found = done.stdout.splitlines()
    assert where == f"fraud in {loop.here.lake.root}"
    assert [line.split()[0] for line in found] == ["ok"] * asked
    assert "of 200 events or fewer" in done.stdout
