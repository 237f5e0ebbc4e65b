"""Finds the Java that Spark and the Kafka broker run on: JAVA_HOME's, else the one on PATH, as Spark itself looks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from sluice.errors import UserError

OLDEST = 17
"""The first version that Spark 4.2 and Kafka 4.2 both run on."""
_PACKAGE = "apt-get install openjdk-17-jre-headless"


def java() -> Path:
    """The Java to use, version 17 or newer and whole; UserError says what is missing and the one command that helps."""
    found = _candidate()
    if found is None:
        raise UserError(
            "no Java was found", where="PATH and JAVA_HOME", allowed=f"Java >= {OLDEST}", next_step=_PACKAGE
        )
    _refuse_too_old(found)
    _refuse_trimmed(found)
    return found


def _candidate() -> Path | None:
    home = os.environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").exists():
        return Path(home) / "bin" / "java"
    on_path = shutil.which("java")
    return Path(on_path) if on_path else None


def _refuse_too_old(found: Path) -> None:
    said = _output(found, "-version")
    match = re.search(r'version "(?:1\.)?(\d+)', said)
    if match is None:
        raise UserError(f"it does not say its version: {said[:200]!r}", where=str(found), next_step=_PACKAGE)
    if int(match[1]) < OLDEST:
        raise UserError(f"Java {match[1]} is too old", where=str(found), allowed=f">= {OLDEST}", next_step=_PACKAGE)


def _refuse_trimmed(found: Path) -> None:
    modules = _output(found, "--list-modules")
    if "jdk.incubator.vector" not in modules:
        raise UserError(
            "the runtime was trimmed: Spark 4.2 cannot start without the module jdk.incubator.vector",
            where=str(found),
            allowed="a whole Java 17 runtime",
            next_step=_PACKAGE,
        )


def _output(found: Path, option: str) -> str:
    try:
        done = subprocess.run([str(found), option], capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise UserError(f"it cannot be run: {error}", where=str(found), next_step=_PACKAGE) from None
    return done.stdout + done.stderr


if __name__ == "__main__":
    try:
        java()
    except UserError as error:
        sys.exit(str(error))
