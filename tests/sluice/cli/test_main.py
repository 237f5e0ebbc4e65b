"""The command line: quick to answer, lists every command, and tells the shell whose turn it is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from sluice.cli.main import COMMANDS, application, exit_code
from sluice.errors import DataError, GateStopped, Outage, ServiceDown, SettingsError, SluiceError, UserError

pytestmark = pytest.mark.unit

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


def test_help_lists_every_command_with_its_sentence() -> None:
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(application(["--help"]), ["--help"])

    assert shown.exit_code == 0
    assert [name for name, command in COMMANDS.items() if command.help not in shown.output] == []


@pytest.mark.parametrize("name", ["setup", "up", "down", "status", "env"])
def test_the_sentence_of_a_command_is_the_first_one_of_its_function(name: str) -> None:
    function = COMMANDS[name].load()

    assert not isinstance(function, Typer)
    assert (function.__doc__ or "").splitlines()[0] == COMMANDS[name].help


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserError("x"), 2),
        (SettingsError("x"), 2),
        (DataError("x"), 3),
        (GateStopped("x"), 3),
        (Outage("x"), 4),
        (ServiceDown("x"), 4),
        (SluiceError("x"), 1),
    ],
)
def test_each_family_of_errors_has_its_exit_code(error: SluiceError, code: int) -> None:
    assert exit_code(error) == code


def test_a_mistake_of_the_caller_is_a_message_and_never_a_traceback(tmp_path: Path) -> None:
    environment = {**os.environ, "SLUICE_KAFKA_PROT": "1", "SLUICE_HOME": str(tmp_path)}

    done = subprocess.run([*SLUICE, "status"], env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert "unknown setting 'SLUICE_KAFKA_PROT'" in done.stderr
    assert "did you mean 'SLUICE_KAFKA_PORT'?" in done.stderr
    assert "Traceback" not in done.stderr
