"""A person's own file becomes a gated Delta table in five commands, as the page on ingest says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.settings import settings
from tests.sluice.lake.lineage.told import runs

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "ingest.md"


def test_the_five_commands_of_the_page_bring_a_file_into_a_gated_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    section = PAGE.read_text().partition("## Your own file, in five commands")[2].partition("\n## ")[0]
    blocks = dict(re.findall(r"```(\w+)\n(.*?)```", section, flags=re.DOTALL))
    Path("rides.csv").write_text(blocks["csv"])
    commands = blocks["bash"].splitlines()
    assert len(commands) == 5
    said = [run(command) for command in commands]
    assert "".join(said[:2]).startswith(blocks["text"])
    assert "11 gates passed" in said[2]
    assert runs(tmp_path / "home", "ingest") == [
        ("START", set(), set()),
        ("COMPLETE", {str(tmp_path / "rides.csv"), "events/rides"}, {"events/rides", "silver/rides"}),
    ]
    assert "rides.csv" in said[4]
    exec(compile(blocks["python"], PAGE.name, "exec"), {})  # noqa: S102 our own documentation


def test_a_declaration_that_is_there_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rides.csv").write_text("ride_id,started\n1,2026-01-01T10:00:00Z\n")
    Path("rides.py").write_text("mine = 1\n")
    done = subprocess.run(called("sluice init rides.csv"), capture_output=True, text=True, check=False)
    assert (done.returncode, Path("rides.py").read_text()) == (2, "mine = 1\n")
    assert "rides.py: there is a file of that name\n  next: choose another: --out NAME.py" in done.stderr


def called(command: str) -> list[str]:
    return [sys.executable, "-m", "sluice.cli.main", *command.split()[1:]]


def run(command: str) -> str:
    done = subprocess.run(called(command), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
