"""A place that is named on the command line means the same to a worker in another folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_jobs import arguments

pytestmark = pytest.mark.unit


def test_paths_become_absolute_and_names_and_uris_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert arguments.lake("lake") == str(tmp_path / "lake")
    assert arguments.lake("s3://bucket/lake") == "s3://bucket/lake"
    assert arguments.pipeline("cards.py") == str(tmp_path / "cards.py")
    assert arguments.pipeline("fraud") == "fraud"
