"""The deployments of prefect.yaml: made, held still while a person moves the clock by hand, and waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.responses import DeploymentResponse

from sluice.errors import Outage
from sluice.local.environment import engine_environment
from sluice.settings import settings

ROOT = Path(__file__).parents[1]
"""Where prefect.yaml is, and the code that a worker runs."""
POOL = "sluice"
"""The work pool that prefect.yaml deploys to."""
_EVERY_S = 0.5
_DEPLOY_PATIENCE_S = 180


def deploy_flows() -> list[str]:
    """Deploy every flow of prefect.yaml, as `prefect --no-prompt deploy --all` does; their names."""
    command = [str(Path(sys.executable).with_name("prefect")), "--no-prompt", "deploy", "--all"]
    environment = {**os.environ, **engine_environment(settings())}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_DEPLOY_PATIENCE_S,
    )
    if done.returncode != 0:
        raise Outage(
            f"prefect deploy ended with {done.returncode}: {done.stderr[-500:] or done.stdout[-500:]}",
            where=str(ROOT / "prefect.yaml"),
            next_step="see that Prefect runs: sluice status",
        )
    with _client() as client:
        return sorted(deployment.name for deployment in _ours(client))


def pause_schedules() -> list[str]:
    """Stop our schedules, for whoever moves the clock by hand; events still start runs. The names of what stands.

    `prefect deployment resume <flow>/<name>` lets one go on. What others deployed on the same server is left alone.
    """
    with _client() as client:
        scheduled = [deployment for deployment in _ours(client) if deployment.schedules]
        for deployment in scheduled:
            client.pause_deployment(deployment.id)
        return sorted(deployment.name for deployment in scheduled)


def finished_run(deployment: str, at: int, *, patience_s: float = 420.0, begin_s: float = 60.0) -> FlowRun:
    """The run of a deployment that an event started with this `at`, when it has ended.

    Outage when none has begun within `begin_s`, when it takes longer than `patience_s`, or when it failed.
    """
    with _client() as client:
        begun = time.monotonic()
        run = _run_at(client, deployment, at)
        while run is None or run.state is None or not run.state.is_final():
            waited = time.monotonic() - begun
            if waited > (begin_s if run is None else patience_s):
                raise _outage(deployment, f"has not {'begun' if run is None else 'ended'} in {waited:.0f} s")
            time.sleep(_EVERY_S)
            run = _run_at(client, deployment, at) if run is None else client.read_flow_run(run.id)
    if not run.state.is_completed():
        raise _outage(deployment, f"ended as {run.state.name}: {run.state.message}")
    return run


def _ours(client: SyncPrefectClient) -> list[DeploymentResponse]:
    """The deployments of our work pool, whatever else is on the server."""
    return list(client.read_deployments(work_pool_filter=WorkPoolFilter(name=WorkPoolFilterName(any_=[POOL]))))


def _run_at(client: SyncPrefectClient, deployment: str, at: int) -> FlowRun | None:
    found = client.read_flow_runs(deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])))
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
