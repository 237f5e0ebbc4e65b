"""The project's own papers are true: the list of commands, links, and the table of settings."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from sluice.settings import known_variables
from tests.budget import BUDGET

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
PAPERS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def test_make_help_lists_every_target() -> None:
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None

    shown = subprocess.run(["make", "help"], cwd=ROOT, check=True, capture_output=True, text=True).stdout

    assert re.findall(r"make ([\w-]+)", shown) == targets[1].split()


@pytest.mark.parametrize("paper", PAPERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(paper: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", paper.read_text())

    assert [link for link in links if not (paper.parent / link).exists()] == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(r"\((\d{4}-[\w-]+\.md)\)", (folder / "README.md").read_text())

    assert listed == sorted(path.name for path in folder.glob("0*.md"))


def test_every_fault_names_a_test_that_there_is() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 15
    assert [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()] == []


def test_the_budgets_of_all_folders_are_at_most_three_quarters_of_an_hour() -> None:
    assert sum(BUDGET.values()) <= 45 * 60


def test_every_setting_is_in_the_table_of_settings() -> None:
    written = (ROOT / "docs" / "operate.md").read_text()

    assert [name for name in known_variables() if f"`{name}`" not in written] == []
