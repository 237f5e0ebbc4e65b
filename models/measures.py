"""What the registry says of every version: its quality on the test rows, read back from MLflow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MEASURES = ("auc", "average_precision", "card_precision_at_100", "log_loss")


@dataclass(frozen=True, slots=True)
class Measured:
    """One registered version with the measures of its run; None where one is not defined."""

    segment: str
    version: int
    auc: float | None
    average_precision: float | None
    card_precision_at_100: float | None
    log_loss: float | None


def measured(tracking_uri: str, pipeline: str) -> list[Measured]:
    """Every registered version of a pipeline's models, by segment and version."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    found = [
        _measured(client, version)
        for model in client.search_registered_models()
        for version in client.search_model_versions(f"name = '{model.name}'")
        if model.name.startswith(f"{pipeline}-")
    ]
    return sorted(found, key=lambda each: (each.segment, each.version))


def _measured(client: Any, version: Any) -> Measured:
    run = client.get_run(version.run_id)
    values = {name: run.data.metrics.get(name) for name in MEASURES}
    return Measured(run.data.tags["segment"], int(version.version), **values)
