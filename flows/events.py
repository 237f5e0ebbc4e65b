"""What flows tell the world: Prefect events about a pipeline, each told once however often its flow is run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from prefect.events import emit_event

from flows.place import Place

RETRAIN = "sluice.decision.retrain"
STOPPED = "sluice.gate.stopped"
TOUCHED = "sluice.repair.touched"


def resource_of(pipeline: str) -> str:
    """By which Prefect knows a pipeline."""
    return f"sluice.pipeline.{pipeline}"


def tell(here: Place, event: str, once: str, payload: Mapping[str, Any]) -> None:
    """Emit an event about a pipeline; `once` tells it from every other of its name: Prefect keeps one of an id."""
    emit_event(
        event=event,
        resource={"prefect.resource.id": resource_of(here.pipeline.name)},
        payload={"pipeline": here.reference, **payload},
        id=uuid5(NAMESPACE_URL, f"{here.lake.root}:{event}:{once}"),
    )
