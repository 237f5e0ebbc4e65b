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
import yaml

from flows.deployed import deploy_flows, deployments, pause_schedules
from flows.events import RETRAIN
from sluice.local import services
from sluice.local.environment import engine_environment
from sluice.local.ports import free_port
from sluice.settings import Ports, settings, variable

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PATIENCE_S = 90
FLOWS = ["features", "ingest", "keep", "repair", "retrain", "rollout", "train", "watch"]
SCHEDULED = ["ingest", "keep", "repair", "rollout", "watch"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The API of a Prefect server with the deployments of two pipelines, of which the schedules of one stand still."""
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
            with pytest.MonkeyPatch.context() as here:
                for name, value in engine_environment(chosen).items():
                    here.setenv(name, value)
                assert deploy_flows("fraud") == FLOWS
                assert deploy_flows("tests/sluice/lake/shop.py") == FLOWS
                assert pause_schedules("shop") == SCHEDULED
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


def deployed(api: str) -> dict[str, tuple[str, str, object]]:
    """Flow, pipeline and what the flow is called with, of each deployment by its id."""
    flows = {str(each["id"]): str(each["name"]) for each in ask(api, "/flows/filter")}
    return {
        str(each["id"]): (flows[str(each["flow_id"])], str(each["name"]), each["parameters"])
        for each in ask(api, "/deployments/filter")
    }


def test_the_file_has_the_deployments_of_the_reference_pipeline() -> None:
    content = yaml.safe_load((ROOT / "prefect.yaml").read_text())

    assert deployments(content, "fraud", "fraud") == content


def test_every_flow_is_deployed_for_each_pipeline(server: str) -> None:
    found = deployed(server).values()

    assert sorted((flow, name) for flow, name, _ in found) == sorted(
        (flow, name) for flow in FLOWS for name in ("fraud", "shop")
    )
    called = {name: parameters["pipeline"] for _, name, parameters in found if isinstance(parameters, dict)}
    assert called == {"fraud": "fraud", "shop": str(ROOT / "tests/sluice/lake/shop.py")}


def test_schedules_that_do_not_stand_still_make_runs_appear(server: str) -> None:
    wanted, names = {(flow, "fraud") for flow in SCHEDULED}, deployed(server)
    deadline = time.monotonic() + PATIENCE_S
    scheduled: set[tuple[str, str]] = set()
    while scheduled < wanted and time.monotonic() < deadline:
        runs = ask(server, "/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["SCHEDULED"]}}})
        scheduled = {names[str(run["deployment_id"])][:2] for run in runs}
        time.sleep(1)

    assert scheduled == wanted


def test_a_decision_to_retrain_is_what_the_retrain_flow_of_its_pipeline_waits_for(server: str) -> None:
    found = [each for each in ask(server, "/automations/filter") if "retrain" in str(each["name"])]

    triggers = [each["trigger"] for each in found if each["enabled"] is True]
    waited = {
        (*trigger["expect"], trigger["match"]["prefect.resource.id"])
        for trigger in triggers
        if isinstance(trigger, dict)
    }
    assert waited == {(RETRAIN, "sluice.pipeline.fraud"), (RETRAIN, "sluice.pipeline.shop")}
