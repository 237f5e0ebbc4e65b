"""Brings Ray Serve to a routing and says what it serves now; models are swapped in place and no request fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from serve.models import check_model
from serve.routing import Routing
from sluice.declare.loading import load_pipeline
from sluice.errors import DataError, Outage
from sluice.lake.asof import newest
from sluice.lake.tables import Lake
from sluice.local.environment import apply_environment
from sluice.settings import Settings, settings

APPLICATION = "sluice"
DEPLOYMENT = "Scoring"
_IMPORT_PATH = "serve.deployment:build"
_POLL_S = 0.1


@dataclass(frozen=True)
class Serving:
    """What a deployed service answers with: its readiness, and how long it took to get there."""

    state: Mapping[str, Any]
    seconds: float


def deploy(
    pipeline: str,
    routing: Routing,
    *,
    store: str | None = None,
    lake: str | None = None,
    log: str | None = None,
    clock: str | None = None,
    replicas: int = 1,
    timeout_s: float = 180,
) -> Serving:
    """Serve a pipeline (its name or file) by a routing; returns when every replica answers by it.

    With the same pipeline, places and replicas as before, models are swapped in place; otherwise Serve replaces its
    replicas. Places default to the settings. DataError: a model cannot serve, or there is no version of an as-of table;
    what served before still does. Outage: the replicas did not get ready in time.
    """
    declared = load_pipeline(pipeline)
    for model in routing.models:
        check_model(declared, model)
    chosen = settings()
    places = {
        "pipeline": str(Path(pipeline).absolute()) if pipeline.endswith(".py") else pipeline,
        "store": store or chosen.online_uri,
        "lake": lake or chosen.places.lake_uri,
        "log": log or f"kafka://{chosen.kafka}",
        "clock": clock or chosen.places.clock,
    }
    newest(Lake(places["lake"], declared.name), declared)
    started = time.monotonic()
    with _client(chosen) as client:
        before = _configuration(client)
        _apply(client, chosen, places, routing.describe(), replicas)
        try:
            state = _wait(client, routing.version, replicas, started + timeout_s)
        except DataError:
            if before is not None:
                _apply(client, chosen, *before)
            raise
    return Serving(state, time.monotonic() - started)


def current(url: str | None = None) -> dict[str, Any] | None:
    """The readiness of one replica as it answers now; None when nothing answers."""
    try:
        answer = httpx.get(f"{url or settings().serve_url}/ready", timeout=5.0, trust_env=False)
        found: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError):
        return None
    return found if "routing" in found else None


def withdraw() -> None:
    """Stop serving; Serve itself stays."""
    with _client(settings()) as client:
        client.delete_apps([APPLICATION])


def _wait(client: Any, version: str, replicas: int, deadline: float) -> dict[str, Any]:
    """The readiness of a replica, when as many as there are have been heard to answer by the routing."""
    ready: set[str] = set()
    state: dict[str, Any] | None = None
    while time.monotonic() < deadline:
        _refuse_failed(client)
        state = current()
        if state is not None and _answers_by(state, version):
            ready.add(state["replica"])
            if len(ready) >= replicas:
                return state
        time.sleep(_POLL_S)
    said = "nothing answers" if state is None else state["missing"] or f"{len(ready)} of {replicas} replicas are ready"
    raise Outage(f"the service is not ready: {said}", where=settings().serve_url, next_step="see Serve's replica log")


def _answers_by(state: Mapping[str, Any], version: str) -> bool:
    """Whether a replica answers by the routing; DataError when it refuses it."""
    refused = state["refused"] or {}
    if refused.get("routing") == version:
        raise DataError(f"the routing is refused: {refused['reason']}", where=f"replica {state['replica']}")
    return bool(state["ready"]) and state["routing"] == version


def _refuse_failed(client: Any) -> None:
    """Outage with Serve's own words when it has given up on the application."""
    application = client.get_serve_details()["applications"].get(APPLICATION, {})
    if application.get("status") == "DEPLOY_FAILED":
        said = str(application.get("message", "")).strip().splitlines()
        raise Outage(f"Serve cannot start the service: {said[-1] if said else 'no reason given'}", where=APPLICATION)


def _apply(client: Any, chosen: Settings, places: Mapping[str, str], routing: Mapping[str, Any], replicas: int) -> None:
    """Hand Serve the application; a change of `user_config` alone reconfigures replicas where they are."""
    from ray.serve.schema import DeploymentSchema, HTTPOptionsSchema, ServeApplicationSchema, ServeDeploySchema

    application = ServeApplicationSchema(
        name=APPLICATION,
        route_prefix="/",
        import_path=_IMPORT_PATH,
        args=dict(places),
        deployments=[DeploymentSchema(name=DEPLOYMENT, num_replicas=replicas, user_config=dict(routing))],
    )
    options = HTTPOptionsSchema(host="127.0.0.1", port=chosen.ports.serve_port)
    client.deploy_apps(ServeDeploySchema(http_options=options, applications=[application]))


def _configuration(client: Any) -> tuple[dict[str, str], dict[str, Any], int] | None:
    """Places, routing and replicas as they were deployed last; None when nothing was."""
    application = client.get_serve_details()["applications"].get(APPLICATION, {})
    deployed = application.get("deployed_app_config")
    if not deployed:
        return None
    (deployment,) = deployed["deployments"]
    return deployed["args"], deployment["user_config"], deployment["num_replicas"]


@contextmanager
def _client(chosen: Settings) -> Iterator[Any]:
    """Serve's client: the same calls as its REST interface, which would need Ray's dashboard."""
    apply_environment(chosen)
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions
    from ray.serve.context import _get_global_client

    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    connected = ray.is_initialized()
    if not connected:
        ray.init(address=chosen.ray, namespace="serve", log_to_driver=False, logging_level="WARNING")
    try:
        serve.start(http_options=HTTPOptions(host="127.0.0.1", port=chosen.ports.serve_port))
        yield _get_global_client()
    finally:
        if not connected:
            ray.shutdown()
