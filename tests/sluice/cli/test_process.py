"""The command line as a process of its own: quick to answer, and no traceback for a mistake of the caller."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SLUICE = [sys.executable, "-m", "sluice.cli.main"]
ENGINES = {"tensorflow", "pyspark", "ray", "mlflow", "alibi_detect", "feast", "prefect", "kafka", "deltalake", "pandas"}


def help_cpu_seconds() -> float:
    """Processor time of one `sluice --help`; unlike the clock on the wall, it does not measure the neighbours."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*SLUICE, "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def test_help_takes_less_than_half_a_second() -> None:
    assert any(help_cpu_seconds() < 0.5 for _ in range(4))  # the first may find nothing compiled


def test_help_imports_no_engine() -> None:
    program = "import sys, sluice.cli.main as m; m.application(['--help']); print(*sys.modules, sep='\\n')"

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) & ENGINES == set()


@pytest.mark.parametrize("command", ["gates", "quarantine", "lineage", "keep", "hold", "doctor"])
def test_the_help_of_what_reads_a_lake_imports_none_of_what_reads_it(command: str) -> None:
    program = "import sys, sluice.cli.main as m; m.application(sys.argv[1:]); print(*sys.modules, sep='\\n')"

    called = [sys.executable, "-c", program, command, "--help"]
    done = subprocess.run(called, check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) & {*ENGINES, "pyarrow", "numba", "numpy"} == set()


def test_paragraphs_of_help_are_as_wide_as_the_terminal() -> None:
    called = [*SLUICE, "quarantine", "replay", "--help"]
    done = subprocess.run(called, env={**os.environ, "COLUMNS": "80"}, check=True, capture_output=True, text=True)

    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "is in quarantine once more. Rows of files become a batch of their own; rows of" in lines


def test_a_mistake_of_the_caller_is_a_message_and_never_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "SLUICE_KAFKA_PROT": "1", "SLUICE_HOME": str(tmp_path)}

    done = subprocess.run([*SLUICE, "status"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "unknown setting 'SLUICE_KAFKA_PROT'" in done.stderr
    assert "did you mean 'SLUICE_KAFKA_PORT'?" in done.stderr
    assert "Traceback" not in done.stderr
