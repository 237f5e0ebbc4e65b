"""What every flow starts from: the pipeline, its lake, and the moment it runs for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sluice.clock import open_clock
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.settings import Settings, settings

if TYPE_CHECKING:
    from models.registry import Registry


@dataclass(frozen=True)
class Place:
    """A pipeline where it lives; `reference` is how it was named."""

    reference: str
    pipeline: Pipeline
    lake: Lake
    settings: Settings

    @property
    def registry(self) -> Registry:
        """The pipeline's models."""
        from models.registry import Registry

        return Registry(self.settings.mlflow, self.pipeline.name, self.settings.places.at("models"))


def place(reference: str) -> Place:
    """The place of a registered pipeline or of a .py file."""
    pipeline = load_pipeline(reference)
    here = settings()
    return Place(reference, pipeline, Lake(here.places.lake_uri, pipeline.name), here)


def moment(at: int | None) -> int:
    """The event time that a flow runs for: the one given, or the clock's now, read once."""
    return open_clock(settings().places.clock).now() if at is None else at
