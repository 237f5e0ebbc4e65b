"""The import contracts hold, and they notice when they do not."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent
ROOMS = ("sluice", "feature_repo", "flows", "spark_jobs", "models", "serve")
TRESPASSES = {
    "sluice/declare/trespass.py": "import pandas",
    "sluice/engine/trespass.py": "import sluice.scoring",
    "sluice/scoring/trespass.py": "import sluice.monitor",
    "sluice/feast/trespass.py": "import sluice.stream",
    "sluice/lake/trespass.py": "import models",
    "sluice/monitor/trespass.py": "import prefect\nimport pyspark\nimport kafka\nimport redis",
    "serve/trespass.py": "import models\nimport flows\nimport spark_jobs",
}
CONTRACTS = 13


def broken(root: Path) -> dict[str, bool]:
    """Contract → whether it is broken, as the linter says of the rooms below a folder."""
    linter = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    said = subprocess.run(linter, cwd=root, capture_output=True, text=True, check=False).stdout
    return {name: verdict == "BROKEN" for name, verdict in re.findall(r"^(.+) (KEPT|BROKEN)$", said, re.MULTILINE)}


def test_every_room_keeps_to_its_contract() -> None:
    verdicts = broken(ROOT)

    assert len(verdicts) == CONTRACTS
    assert [name for name, is_broken in verdicts.items() if is_broken] == []


def test_every_contract_notices_a_trespass(tmp_path: Path) -> None:
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "sluice" / "errors.py").open("a") as file:
        file.write("\nimport sluice.declare\n")
    for path, trespass in TRESPASSES.items():
        (tmp_path / path).write_text(trespass + "\n")

    verdicts = broken(tmp_path)

    assert len(verdicts) == CONTRACTS
    assert [name for name, is_broken in verdicts.items() if not is_broken] == []
