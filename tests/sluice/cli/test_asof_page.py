"""The page on as-of tables is true: its files, its commands and its Python run one after another."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sluice.cli.main import application
from sluice.settings import settings

pytestmark = pytest.mark.integration
PAGE = Path(__file__).parents[3] / "docs" / "asof.md"


def test_everything_on_the_page_runs_and_says_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    said: list[str] = []
    done: list[str] = []
    for kind, text in re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        done.append(kind)
        if kind == "csv":
            Path("prices.csv").write_text(text)
        elif kind == "bash":
            said = [run(line) for line in text.splitlines()]
        elif kind == "text":
            assert "".join(said) == text
        elif done.count("python") == 1:
            Path("shop.py").write_text(text)
        else:
            exec(compile(text, PAGE.name, "exec"), session)  # noqa: S102 our own documentation
    assert done == ["python", "csv", "bash", "text", "python", "csv", "bash", "text", "python"]


def run(command: str) -> str:
    arguments = command.split()[1:]
    found = CliRunner().invoke(application(arguments), arguments, catch_exceptions=False)
    assert found.exit_code == 0
    return found.output
