"""Which code this is."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.version import code_version

pytestmark = pytest.mark.unit

PACKAGE = importlib.metadata.version("sluice")
SOURCE = Path(__file__).parents[2] / "sluice" / "version.py"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one commit that holds only the module itself."""
    (tmp_path / "sluice").mkdir()
    shutil.copy(SOURCE, tmp_path / "sluice" / "version.py")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--message", "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def said(folder: Path) -> str:
    """What the module of a checkout says, in a process of its own."""
    program = "import runpy, sys; print(runpy.run_path(sys.argv[1])['code_version']())"
    command = [sys.executable, "-c", program, str(folder / "sluice" / "version.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_checkout_is_named_by_its_commit(checkout: Path) -> None:
    assert said(checkout) == f"{PACKAGE}+{git(checkout, 'rev-parse', '--short', 'HEAD')}"


def test_changed_files_make_it_dirty_and_new_ones_do_not(checkout: Path) -> None:
    (checkout / "new.txt").touch()
    assert not said(checkout).endswith(".dirty")

    with (checkout / "sluice" / "version.py").open("a") as file:
        file.write("\n# changed\n")
    assert said(checkout).endswith(".dirty")


def test_without_a_checkout_it_is_the_version_of_the_package(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")

    assert said(checkout) == PACKAGE


def test_this_code_has_a_version() -> None:
    assert re.fullmatch(rf"{re.escape(PACKAGE)}(\+[0-9a-f]{{7,}}(\.dirty)?)?", code_version())
