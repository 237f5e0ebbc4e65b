"""The code that a job takes along is all rooms and no tests, the same bytes for the same code, and runs as it lies."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sluice.local.code import ROOMS, write_archive


@pytest.mark.unit
def test_the_archive_has_every_room_and_is_written_once(tmp_path: Path) -> None:
    path = write_archive(tmp_path)
    names = zipfile.ZipFile(path).namelist()
    assert {name.partition("/")[0] for name in names if not name.startswith("sluice-")} == set(ROOMS)
    assert {"sluice/local/jars.lock", "sluice/lake/whole.py", "spark_jobs/backfill.py"} <= set(names)
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
    before = path.stat().st_mtime_ns
    assert write_archive(tmp_path) == path
    assert path.stat().st_mtime_ns == before
    assert list(tmp_path.iterdir()) == [path]
    assert write_archive(tmp_path / "other").read_bytes() == path.read_bytes()


@pytest.mark.integration
def test_the_kernel_computes_from_within_the_archive_with_machine_code_that_is_kept(tmp_path: Path) -> None:
    """The second process, whose archive lies elsewhere, finds what the first one has compiled."""
    code = (
        "import numpy as np, sluice.engine.order as order; print(order.__file__);"
        "print(order.by_key(np.array([1, 0, 1]), 2).tolist())"
    )
    kept: list[set[Path]] = []
    for place in ("one", "other"):
        path = write_archive(tmp_path / place)
        environment = {**os.environ, "PYTHONPATH": str(path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
        told = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert told == [f"{path}/sluice/engine/order.py", "[1, 0, 2]"]
        kept.append(set((tmp_path / "cache").rglob("*.nbi")))
    assert kept[0] == kept[1] != set()
