"""The flows as deployments of a real Prefect server: all of prefect.yaml is there, and schedules make runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sluice.local import services
from sluice.local.environment import engine_environment
from sluice.local.ports import free_port
from sluice.settings import Ports, settings, variable

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a Prefect server with every deployment of prefect.yaml."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(tmp_path_factory.mktemp("deployments")))
        port = 27_000 + os.getpid() % 3_000
        for name in Ports.model_fields:
            port = free_port(port + 1)
            environment.setenv(variable(Ports, name), str(port))
        settings.cache_clear()
        chosen = settings()
        try:
            services.up(["prefect"])
            prefect("work-pool", "create", "--type", "process", "sluice")
            prefect("deploy", "--all")
            yield chosen.prefect_api
        finally:
            settings.cache_clear()
            services.down()


def prefect(*arguments: str) -> None:
    environment = {**os.environ, **engine_environment(settings())}
    command = [str(Path(sys.executable).with_name("prefect")), "--no-prompt", *arguments]
    done = subprocess.run(
        command, env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def ask(api: str, path: str, **body: object) -> list[dict[str, object]]:
    answer = httpx.post(f"{api}{path}", json=body, timeout=30, trust_env=False)
    answer.raise_for_status()
    found: list[dict[str, object]] = json.loads(answer.text)
    return found


def test_every_flow_is_deployed(server: str) -> None:
    deployed = {str(each["name"]) for each in ask(server, "/deployments/filter")}

    assert deployed == {"ingest", "features", "train", "watch", "retrain", "rollout", "repair", "keep"}


def test_schedules_make_runs_appear(server: str) -> None:
    wanted = {"ingest", "watch", "rollout", "repair", "keep"}
    names = {str(each["id"]): str(each["name"]) for each in ask(server, "/deployments/filter")}
    deadline = time.monotonic() + PATIENCE_S
    scheduled: set[str] = set()
    while scheduled < wanted and time.monotonic() < deadline:
        runs = ask(server, "/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        scheduled = {names[str(run["deployment_id"])] for run in runs}
        time.sleep(1)

    assert scheduled == wanted


def test_a_decision_to_retrain_is_what_the_retrain_flow_waits_for(server: str) -> None:
    (found,) = [each for each in ask(server, "/automations/filter") if "retrain" in str(each["name"])]

    trigger = found["trigger"]
    assert isinstance(trigger, dict)
    assert trigger["expect"] == ["sluice.decision.retrain"]
    assert found["enabled"] is True
