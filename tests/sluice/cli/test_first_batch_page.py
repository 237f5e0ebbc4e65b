"""What the page on ingest calls a first batch is what happens when its commands are called as they are written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.settings import settings

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "ingest.md"


def test_the_commands_of_the_page_stop_a_batch_let_it_in_and_bring_a_mended_row_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLUICE_LAKE", str(tmp_path / "lake"))
    settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    section = PAGE.read_text().partition("## Your first batch")[2].partition("\n## ")[0]
    csv, first, stopped, rest, python = re.findall(r"```\w*\n(.*?)```", section, flags=re.DOTALL)
    Path("payments.csv").write_text(csv)
    export, command = first.splitlines()
    place = export.partition("=")[2]
    assert sluice(command) == (3, stopped)
    said = [sluice(line) for line in rest.splitlines()]
    assert [code for code, _ in said] == [0, 0, 0, 0]
    assert "transactions: 3 rows of batch 'payments': 2 accepted, 1 refused" in said[1][1]
    assert re.match(r"transactions: 1 row of batch 'replay-\w+': 1 accepted", said[2][1])
    assert "stopped" not in said[3][1]
    found: dict[str, object] = {}
    exec(python.replace(place, str(tmp_path / "lake")), found)  # noqa: S102 our own documentation


def sluice(command: str) -> tuple[int, str]:
    """The code that a command ends with, and all that it says."""
    called = [sys.executable, "-m", "sluice.cli.main", *shlex.split(command)[1:]]
    done = subprocess.run(called, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode, done.stdout
