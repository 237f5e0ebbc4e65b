"""The figures of a run: the content of report.json, whose schema is docs/reference/report.schema.json.

Every figure is read back from the lake's tables, the broker's end offsets or MLflow; no program counts for itself.
docs/report.md says of each where it comes from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluice.clock import rfc3339
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.monitor.report.events import event_figures
from sluice.monitor.report.readings import (
    audit_figures,
    decision_figures,
    drift_figures,
    freshness_figures,
    promotion_figures,
    serving_figures,
    staleness_figures,
    touched_figures,
    vector_figure,
)


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One registered version and its quality on held-out rows, as MLflow has it; None where a measure is undefined."""

    segment: str
    version: int
    auc: float | None
    average_precision: float | None
    card_precision_at_100: float | None
    log_loss: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the run: how long it took, and the most memory that all its processes held together."""

    name: str
    seconds: float
    peak_mb: float


def figures(
    lake: Lake,
    pipeline: Pipeline,
    *,
    broker_ends: Mapping[str, int],
    models: Sequence[ModelFigures],
    steps: Sequence[Step],
    at: int,
) -> dict[str, Any]:
    """The figures of everything that happened to a pipeline until `at` (event-clock microseconds).

    `broker_ends` has the end offset of every topic that there is, by its name.
    """
    return {
        "pipeline": pipeline.name,
        "events": [event_figures(lake, pipeline, stream, broker_ends) for stream in pipeline.streams],
        "vectors": vector_figure(lake),
        "audit": audit_figures(lake),
        "staleness": staleness_figures(lake),
        "models": [asdict(model) for model in models],
        "serving": serving_figures(lake),
        "freshness": freshness_figures(lake),
        "drift": drift_figures(lake),
        "decisions": decision_figures(lake),
        "promotions": promotion_figures(lake),
        "touched": touched_figures(lake),
        "steps": [asdict(step) for step in steps],
        "seconds": round(sum(step.seconds for step in steps), 3),
        "peak_mb": max((step.peak_mb for step in steps), default=0.0),
        "at": rfc3339(at),
    }


def write_figures(figures: Mapping[str, Any], path: Path) -> Path:
    """Write report.json, whole or not at all; ValueError for a figure that is no JSON number (NaN, infinity)."""
    text = json.dumps(figures, indent=1, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.write_text(text + "\n")
    fresh.replace(path)
    return path
