"""Writes docs/reference/openapi.json: `python -m serve.openapi`, after the interface or the fraud pipeline changed."""

from __future__ import annotations

import json
from pathlib import Path

from serve.app import create_app
from serve.scoring import Parts, ScoringService
from sluice.clock import WallClock
from sluice.declare.loading import load_pipeline
from sluice.engine.store import MemoryStore
from sluice.stream.predictions import MemoryLog

REFERENCE = Path(__file__).parent.parent / "docs" / "reference" / "openapi.json"


def openapi(pipeline: str = "fraud") -> str:
    """The OpenAPI document of a pipeline's service, as JSON text that is the same for the same interface."""
    service = ScoringService(load_pipeline(pipeline), Parts(MemoryStore, MemoryLog, WallClock()))
    return json.dumps(create_app(service).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE.write_text(openapi())
