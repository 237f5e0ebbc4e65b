"""A pipeline's deployments, as prefect.yaml has them: made, held still while a person moves the clock, waited for."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse

from flows.events import resource_of
from flows.place import place
from sluice.errors import Outage
from sluice.local.environment import engine_environment
from sluice.settings import settings

ROOT = Path(__file__).parents[1]
"""Where prefect.yaml is, and the code that a worker runs."""
POOL = "sluice"
"""The work pool that prefect.yaml deploys to."""
_EVERY_S = 0.5
_DEPLOY_PATIENCE_S = 180


def deploy_flows(reference: str) -> list[str]:
    """Deploy every flow of prefect.yaml for a pipeline, as `<flow>/<pipeline>`; the names of the flows.

    What was deployed of the pipeline before is replaced; that of other pipelines stays.
    """
    pipeline = place(reference).pipeline
    reference = str(Path(reference).resolve()) if reference.endswith(".py") else reference
    content = deployments(yaml.safe_load((ROOT / "prefect.yaml").read_text()), reference, pipeline.name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "prefect.yaml"
        file.write_text(yaml.safe_dump(content))
        done = _prefect("deploy", "--all", "--prefect-file", str(file))
    if done.returncode != 0:
        raise Outage(
            f"prefect deploy ended with {done.returncode}: {done.stderr[-500:] or done.stdout[-500:]}",
            where=str(ROOT / "prefect.yaml"),
            next_step="see that Prefect runs: sluice status",
        )
    with _client() as client:
        return sorted(_ours(client, pipeline.name))


def deployments(content: Mapping[str, Any], reference: str, pipeline: str) -> dict[str, Any]:
    """What prefect.yaml says, said of another pipeline; its flows run for that one, and its events start them."""
    said = copy.deepcopy(dict(content))
    for one in said["deployments"]:
        one["name"] = pipeline
        one["parameters"]["pipeline"] = reference
        for trigger in one.get("triggers", []):
            trigger["match"]["prefect.resource.id"] = resource_of(pipeline)
            trigger["name"] = f"{_flow_of(one)}/{pipeline}"
    return said


def _flow_of(deployment: Mapping[str, Any]) -> str:
    """The flow that a deployment of prefect.yaml runs."""
    return str(deployment["entrypoint"]).partition(":")[2]


def pause_schedules(pipeline: str) -> list[str]:
    """Stop a pipeline's schedules, for whoever moves the clock by hand; events still start runs. The flows that stand.

    `prefect deployment resume <flow>/<pipeline>` lets one go on. What else is on the same server is left alone.
    """
    with _client() as client:
        scheduled = {flow: one for flow, one in _ours(client, pipeline).items() if one.schedules}
        for deployment in scheduled.values():
            client.pause_deployment(deployment.id)
        return sorted(scheduled)


def finished_run(flow: str, pipeline: str, at: int, *, patience_s: float = 420.0, begin_s: float = 60.0) -> FlowRun:
    """The run of a pipeline's flow that an event started with this `at`, when it has ended.

    Outage when none has begun within `begin_s`, when it takes longer than `patience_s`, or when it failed.
    """
    with _client() as client:
        begun, deployment = time.monotonic(), f"{flow}/{pipeline}"
        run = _run_at(client, flow, pipeline, at)
        while run is None or run.state is None or not run.state.is_final():
            waited = time.monotonic() - begun
            if waited > (begin_s if run is None else patience_s):
                raise _outage(deployment, f"has not {'begun' if run is None else 'ended'} in {waited:.0f} s")
            time.sleep(_EVERY_S)
            run = _run_at(client, flow, pipeline, at) if run is None else client.read_flow_run(run.id)
    if not run.state.is_completed():
        raise _outage(deployment, f"ended as {run.state.name}: {run.state.message}")
    return run


def _prefect(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("prefect")), "--no-prompt", *arguments],
        cwd=ROOT,
        env={**os.environ, **engine_environment(settings())},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEPLOY_PATIENCE_S,
    )


def _ours(client: SyncPrefectClient, pipeline: str) -> dict[str, DeploymentResponse]:
    """A pipeline's deployments in our work pool by the name of their flow, whatever else is on the server."""
    named, pool = _named(pipeline), WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))
    flows = {flow.id: flow.name for flow in client.read_flows(deployment_filter=named)}
    return {flows[one.flow_id]: one for one in client.read_deployments(deployment_filter=named, work_pool_filter=pool)}


def _named(pipeline: str) -> DeploymentFilter:
    return DeploymentFilter(name=DeploymentFilterName(any_=[pipeline]))


def _run_at(client: SyncPrefectClient, flow: str, pipeline: str, at: int) -> FlowRun | None:
    mine = FlowFilter(name=FlowFilterName(any_=[flow]))
    found = client.read_flow_runs(flow_filter=mine, deployment_filter=_named(pipeline))
    return next((run for run in found if int(run.parameters.get("at") or 0) == at), None)


@contextmanager
def _client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def _outage(deployment: str, what: str) -> Outage:
    return Outage(
        f"the run {what}",
        where=f"deployment {deployment}",
        next_step=f"look at its runs at {settings().prefect_api.removesuffix('/api')}, and at the worker's log",
    )
