"""Which code this is: the package's version, and the commit where the code is a checkout."""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
import subprocess
from pathlib import Path


@functools.cache
def code_version() -> str:
    """`0.1.0+3fa9c12`, with `.dirty` when files differ from the commit; without a checkout just the version."""
    version = importlib.metadata.version("sluice")
    commit = _git("rev-parse", "--short", "HEAD")
    if not commit:
        return version
    changed = ".dirty" if _git("status", "--porcelain", "--untracked-files=no") else ""
    return f"{version}+{commit}{changed}"


def _git(*arguments: str) -> str:
    root = Path(__file__).parents[1]
    if not (root / ".git").exists() or shutil.which("git") is None:
        return ""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""
