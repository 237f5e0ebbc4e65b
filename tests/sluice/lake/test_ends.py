"""How a process ends that has used the lake: its engine's threads must not bring it down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.lake.tables import Lake

pytestmark = pytest.mark.integration


def test_a_process_that_read_the_lake_ends_in_peace(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path), "shop")
    for _ in range(3):
        lake.append("x", pa.table({"n": [1, 2]}))
    script = f"from sluice.lake.tables import Lake; print(len(Lake({str(tmp_path)!r}, 'shop').read('x')))"
    for _ in range(3):
        ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (0, "6\n"), ended.stderr
