"""The one Ray Serve deployment: features, route and model of a pipeline in one process, behind one HTTP door.

Only Serve's own processes import this module, by the path that `serve.control` gives them. Another hop, a batching
wait or multiplexing would each cost a multiple of the answer itself.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import Any

import ray
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from serve.app import create_app
from serve.log import open_log
from serve.loopback import stay_on_loopback
from serve.scoring import Parts, ScoringService
from serve.tables import Tables
from sluice.clock import open_clock
from sluice.declare.loading import load_pipeline
from sluice.engine.shards import open_online
from sluice.lake.asof import load, newest
from sluice.lake.tables import Lake

SWITCH_S = 0.0005
"""Seconds that a thread in the background, such as the log's, may keep the interpreter from the one that answers."""


class Places(BaseModel):
    """Where a replica finds what it scores with; everything is named, so that any node of a cluster can run it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pipeline: str
    """A registered name, or the path of a Python file."""
    store: str
    lake: str
    log: str
    clock: str


class Scoring:
    """A replica: its service lives as long as it does; `reconfigure` swaps models while requests go on."""

    def __init__(self, places: dict[str, str]) -> None:
        stay_on_loopback(ray.util.get_node_ip_address())
        sys.setswitchinterval(SWITCH_S)
        self._service = open_service(Places(**places), replica=serve.get_replica_context().replica_id.unique_id)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Answer by this routing from now on; models are loaded in a thread while the old ones still answer."""
        await asyncio.to_thread(self._service.route_to, user_config)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._service)


def open_service(places: Places, replica: str) -> ScoringService:
    """A service that opens its tables, store and log as soon as they are there."""
    pipeline = load_pipeline(places.pipeline)
    lake = Lake(places.lake, pipeline.name)
    parts = Parts(
        store=lambda: open_online(places.store, pipeline.name),
        log=lambda: open_log(places.log, pipeline.name),
        clock=open_clock(places.clock),
        tables=Tables(partial(newest, lake, pipeline), partial(load, lake, pipeline)),
    )
    return ScoringService(pipeline, parts, replica=replica)


def build(places: dict[str, str]) -> Application:
    """The application, as Serve builds it from its import path and arguments."""
    deployment = serve.deployment(
        name="Scoring",
        max_ongoing_requests=256,
        ray_actor_options={"num_cpus": 0.5},
        logging_config=LoggingConfig(enable_access_log=False),
    )
    return deployment(serve.ingress()(Scoring)).bind(Places(**places).model_dump())
