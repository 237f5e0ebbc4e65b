"""The command line as a process of its own: quick to answer, and no traceback for a mistake of the caller."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sluice.cli.main import COMMANDS

pytestmark = pytest.mark.integration

SLUICE = [sys.executable, "-m", "sluice.cli.main"]
ENGINES = {
    *("tensorflow", "pyspark", "ray", "mlflow", "alibi_detect", "feast", "prefect"),
    *("kafka", "deltalake", "pandas", "pyarrow", "numba", "numpy", "pydantic_settings"),
}


def help_cpu_seconds(command: Sequence[str]) -> float:
    """Processor time of one `--help`; unlike the clock on the wall, it does not measure the neighbours."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*SLUICE, *command, "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)], ids=" ".join)
def test_help_takes_less_than_half_a_second(command: Sequence[str]) -> None:
    assert any(help_cpu_seconds(command) < 0.5 for _ in range(4))  # the first may find nothing compiled


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_none_of_what_it_works_with(command: str) -> None:
    program = "import sys, sluice.cli.main as m; m.application(sys.argv[1:]); print(*sys.modules, sep='\\n')"

    called = [sys.executable, "-c", program, command, "--help"]
    done = subprocess.run(called, check=True, capture_output=True, text=True)

    assert set(done.stdout.split()) & ENGINES == set()


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
