"""The commands around the services, where nothing has to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SLUICE = [sys.executable, "-m", "sluice.cli.main"]


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SLUICE_HOME": str(home), "COLUMNS": "160"}
    return subprocess.run([*SLUICE, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.integration
def test_status_of_a_home_where_nothing_ever_ran_is_a_table_of_stopped_services(tmp_path: Path) -> None:
    shown = run(tmp_path, "status")

    lines = shown.stdout.splitlines()
    assert shown.returncode == 0
    assert lines[0].split() == ["service", "state", "healthy", "address", "pid", "memory", "since"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [name, "stopped", "no"] for name in ("kafka", "prefect", "ray", "mlflow", "worker", "serve")
    ]


@pytest.mark.integration
def test_down_without_anything_running_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, "down").stdout.strip().endswith("Nothing was running.")


@pytest.mark.integration
def test_an_unknown_service_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    refused = run(tmp_path, "up", "kafkaa")

    assert refused.returncode == 2
    assert "did you mean 'kafka'?" in refused.stderr


@pytest.mark.integration
def test_env_can_be_read_by_a_shell_and_shows_no_setting_that_may_hold_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://:secret@127.0.0.1:6379")
    printed = run(tmp_path / "a home", "env").stdout

    shell = subprocess.run(
        ["sh", "-c", f'{printed}\necho "$SLUICE_HOME $RAY_ADDRESS"'], capture_output=True, text=True, check=True
    )

    assert shell.stdout.strip() == f"{tmp_path}/a home 127.0.0.1:16379"
    assert "secret" not in printed


@pytest.mark.integration
def test_setup_fetches_the_jars_and_says_where_they_are(tmp_path: Path) -> None:
    shown = run(tmp_path, "setup")

    assert shown.returncode == 0, shown.stderr
    assert "Jars: 54 in " in shown.stdout


@pytest.mark.integration
def test_up_and_down_of_one_service_say_what_they_did(tmp_path: Path) -> None:
    begun, again = run(tmp_path, "up", "mlflow"), run(tmp_path, "up", "mlflow")

    assert "Started: mlflow." in begun.stdout
    assert "Everything ran already." in again.stdout


@pytest.mark.integration
def test_the_rollout_of_a_pipeline_without_models_says_so(tmp_path: Path) -> None:
    shown = run(tmp_path, "rollout", "status", "fraud")

    assert (shown.returncode, shown.stdout.strip()) == (0, "Nothing has been rolled out yet.")
