"""The Java that is used is whole and new enough; anything else is refused with the one command that helps."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import UserError
from sluice.local.java import java

pytestmark = pytest.mark.unit


def runtime(home: Path, version: str, modules: str = "java.base\njdk.incubator.vector\n") -> Path:
    """A program that answers like a Java of this version with these modules."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    script = f"""#!/bin/sh
case $1 in
    -version) echo 'openjdk version "{version}" 2025-04-15' >&2 ;;
    --list-modules) printf '{modules}' ;;
esac
"""
    program.write_text(script)
    program.chmod(0o755)
    return program


def test_java_home_is_asked_before_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = runtime(tmp_path / "here", "17.0.15")
    runtime(tmp_path / "there", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "here"))
    monkeypatch.setenv("PATH", str(tmp_path / "there" / "bin"))

    assert java() == here


def test_without_java_home_the_one_on_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = runtime(tmp_path / "there", "21.0.1")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{there.parent}:/usr/bin:/bin")

    assert java() == there


def test_no_java_at_all_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match="apt-get install openjdk-17-jre-headless"):
        java()


@pytest.mark.parametrize(("version", "spoken"), [("1.8.0_392", "8"), ("11.0.2", "11"), ("16", "16")])
def test_an_older_java_is_refused_by_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, spoken: str
) -> None:
    runtime(tmp_path, version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(UserError, match=rf"Java {spoken} is too old\n  allowed: >= 17"):
        java()


def test_a_trimmed_runtime_is_refused_because_spark_cannot_start_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime(tmp_path, "21.0.1", modules="java.base\njava.logging\n")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(UserError, match=r"jdk\.incubator\.vector"):
        java()
