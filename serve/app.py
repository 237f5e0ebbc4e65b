"""The HTTP door of a scoring service: a FastAPI application that Ray Serve, a test or any ASGI server can run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response

from serve.requests import MOST_BYTES
from serve.schema import Errors, Health, Readiness, ScoreResponse, request_model
from serve.scoring import ScoringService
from sluice.declare.pipeline import Pipeline

RETRY_S = 1.0
"""Seconds between attempts to open what is not there yet."""
_JSON = "application/json"
_DESCRIPTION = """\
Scores events of one pipeline. Features, route and model are computed in this process; a score never writes history,
the event itself comes by its stream. Errors name every field that has to change."""


def create_app(service: ScoringService) -> FastAPI:
    """The application of a service; while it runs it opens what the service needs, and flushes the log at the end."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        opening = asyncio.create_task(_keep_open(service))
        yield
        opening.cancel()
        with suppress(asyncio.CancelledError):
            await opening
        await asyncio.to_thread(service.close)

    app = _described(service.pipeline, lifespan)

    @app.post("/score", response_model=ScoreResponse, responses=_REFUSALS)
    async def score(request: Request) -> Response:
        """Score events; one bad event refuses the request with every reason, and nothing is scored."""
        reply = service.score(await _body(request))
        return Response(reply.body, reply.status, media_type=_JSON)

    @app.get("/health", response_model=Health)
    async def health() -> Response:
        """Whether the process lives."""
        return Response(b'{"status":"ok"}', media_type=_JSON)

    @app.get("/ready", response_model=Readiness, responses={503: {"model": Readiness}})
    async def ready() -> Response:
        """Whether the store, the log and the models are loaded, and which routing is in force."""
        is_ready, state = service.readiness()
        return Response(orjson.dumps(state), 200 if is_ready else 503, media_type=_JSON)

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counters and histograms of this replica in the text format of Prometheus."""
        return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return app


async def _keep_open(service: ScoringService) -> None:
    while True:
        await asyncio.to_thread(service.open)
        await asyncio.sleep(RETRY_S)


async def _body(request: Request) -> bytes:
    """The body; of one that is too long just enough to refuse it."""
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            break
    return b"".join(parts)


_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Errors, "description": "The body is no such request."},
    422: {"model": Errors, "description": "An event breaks a rule of the declaration."},
    503: {"model": Errors, "description": "The store, the log or a model is not there yet."},
}


def _described(pipeline: Pipeline, lifespan: Any) -> FastAPI:
    """An application whose OpenAPI holds the request that the declaration describes."""

    class Application(FastAPI):
        def openapi(self) -> dict[str, Any]:
            if self.openapi_schema is None:
                _add_request(super().openapi(), pipeline)
            return self.openapi_schema or {}

    return Application(title=f"Sluice: {pipeline.name}", version="1", description=_DESCRIPTION, lifespan=lifespan)


def _add_request(schema: dict[str, Any], pipeline: Pipeline) -> None:
    request = request_model(pipeline).model_json_schema(ref_template="#/components/schemas/{model}")
    schema["components"]["schemas"] |= {**request.pop("$defs"), "ScoreRequest": request}
    content = {_JSON: {"schema": {"$ref": "#/components/schemas/ScoreRequest"}}}
    schema["paths"]["/score"]["post"]["requestBody"] = {"required": True, "content": content}
