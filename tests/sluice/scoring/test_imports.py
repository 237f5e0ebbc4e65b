from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_scoring_never_imports_tensorflow() -> None:
    code = "import sluice.scoring, sys; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
