"""The Prefect server, and a worker that runs flow runs as processes of this machine."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

from sluice.errors import ServiceDown
from sluice.local.environment import embedded_prefect_api, engine_environment, is_embedded
from sluice.local.health import http, reachable
from sluice.local.service import Service
from sluice.settings import Settings

POOL = "sluice"
"""The work pool of every deployment; the worker makes it when it is not there."""
WORKER = "sluice-embedded"


def prefect_server(settings: Settings) -> Service:
    """The embedded server with its UI, or the external one that `PREFECT_API_URL` names."""
    api, port = settings.prefect_api, settings.ports.prefect_port
    external = _is_external(settings)
    return Service(
        name="prefect",
        address=api,
        healthy=lambda _since: reachable(api) if external else http(f"{api}/health") == (200, True),
        command=lambda: [*_prefect(), "server", "start", "--host", "127.0.0.1", "--port", str(port)],
        environment=engine_environment(settings),
        ports={"SLUICE_PREFECT_PORT": port},
        external=external,
    )


def prefect_worker(settings: Settings) -> Service:
    """The worker of the embedded server; an external server has its own workers."""
    start = ["worker", "start", "--pool", POOL, "--type", "process", "--name", WORKER]
    return Service(
        name="worker",
        address=f"pool {POOL}",
        healthy=lambda since: _beats(settings.prefect_api, since),
        command=lambda: [*_prefect(), *start],
        environment=engine_environment(settings),
        after=("prefect",),
        external=_is_external(settings),
    )


def check_prefect(settings: Settings) -> None:
    """ServiceDown unless the Prefect server answers: a flow that is called would end in its client's traceback."""
    server = prefect_server(settings)
    if not server.healthy(0.0):
        raise ServiceDown(
            "Prefect does not answer",
            where=server.address,
            next_step="sluice up prefect; one of your own: see that it runs and can be reached",
        )


def _is_external(settings: Settings) -> bool:
    return not is_embedded(settings.engines.prefect_api_url, embedded_prefect_api(settings))


def _prefect() -> list[str]:
    return [sys.executable, str(Path(sys.executable).with_name("prefect"))]


def _beats(api: str, since: float) -> bool:
    """Whether the server has heard from this very worker process; a dead one stays ONLINE for a minute or so."""
    status, workers = http(f"{api}/work_pools/{POOL}/workers/filter", post={})
    if status != 200 or not isinstance(workers, list):
        return False
    beats = [_seconds(worker["last_heartbeat_time"]) for worker in workers if worker["status"] == "ONLINE"]
    return any(beat >= since for beat in beats)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
