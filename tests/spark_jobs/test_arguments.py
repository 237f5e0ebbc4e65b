"""What jobs are called with: places mean the same to a worker in another folder, and of nothing there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import UserError
from spark_jobs import arguments

pytestmark = pytest.mark.unit


def test_paths_become_absolute_and_names_and_uris_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert arguments.lake("lake") == str(tmp_path / "lake")
    assert arguments.lake("s3://bucket/lake") == "s3://bucket/lake"
    assert arguments.pipeline("cards.py") == str(tmp_path / "cards.py")
    assert arguments.pipeline("fraud") == "fraud"


def test_how_many_is_one_at_least() -> None:
    assert arguments.some("3") == 3
    for text in ("0", "-1", "many"):
        with pytest.raises(UserError, match="is not how many there can be"):
            arguments.some(text)
