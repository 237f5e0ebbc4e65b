from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration


def test_engines_are_imported_only_by_those_who_need_them() -> None:
    told = "import sys, sluice.monitor.report.page; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", told], check=True, capture_output=True, text=True).stdout.split()
    assert {"matplotlib", "kafka", "mlflow", "prefect", "tensorflow", "ray", "pyspark", "alibi_detect"}.isdisjoint(
        loaded
    )
