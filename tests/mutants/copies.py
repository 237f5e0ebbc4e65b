"""Changed copies of the project, and tests that run in them: the running code stays as it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NEEDED = ("sluice", "feature_repo", "tests/golden", "tests/sluice/engine")
_FILES = ("pyproject.toml", "tests/*.py", "tests/sluice/conftest.py")


@dataclass(frozen=True)
class Mutant:
    """A mistake that somebody could make: one text of a module in place of another."""

    name: str
    module: str
    """Below `sluice`, such as `engine/ranges`."""
    old: str
    """What stands there exactly once."""
    new: str
    killer: str
    """The test that must notice, below `tests`."""

    def __str__(self) -> str:
        return self.name


def copied(folder: Path) -> Path:
    """A copy of everything that the killers need."""
    left_out = shutil.ignore_patterns("*.pyc")
    for name in _NEEDED:
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    for pattern in _FILES:
        for file in ROOT.glob(pattern):
            shutil.copy(file, folder / file.relative_to(ROOT))
    return folder


def mutated(mutant: Mutant) -> str:
    """The text of the module with the mistake in it; AssertionError where it cannot be made there."""
    text = (ROOT / "sluice" / f"{mutant.module}.py").read_text()
    if text.count(mutant.old) != 1:
        raise AssertionError(
            f"{mutant.name}: {mutant.old!r} occurs {text.count(mutant.old)} times in {mutant.module}.py, and not once; "
            "say what stands there now, or take the mutant out if the rule is gone"
        )
    return text.replace(mutant.old, mutant.new)


def changed(folder: Path, mutant: Mutant) -> Path:
    """A copy with one mistake in it."""
    copied(folder)
    (folder / "sluice" / f"{mutant.module}.py").write_text(mutated(mutant))
    return folder


def tried(folder: Path, killers: Iterable[str], *, compiled: bool = False) -> subprocess.CompletedProcess[str]:
    """Tests in a copy; loops run as the Python that they are, for compiling them takes a quarter of a minute."""
    said = ["-q", "-x", "--no-header", "--tb=line", "-p", "no:cacheprovider", "-m", "unit"]
    # whole numbers of 64 bits that wrap are no mistake in a hash; compiled code does not mention it
    said += ["-W", "ignore:overflow encountered:RuntimeWarning"]
    own = {"PYTHONPATH": str(folder), "NUMBA_DISABLE_JIT": str(int(not compiled)), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", *said, *(f"tests/{killer}" for killer in dict.fromkeys(killers))],
        cwd=folder,
        env={**os.environ, **own},
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
