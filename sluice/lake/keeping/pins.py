"""Which versions of tables nobody may take away, because something that was kept names them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.lake.training_sets import training_sets

FOR_EVER = ("batches", "asof")
"""Tables of which every version stays: what a served vector knew (K) names them."""

Pins = Mapping[str, Mapping[int, Collection[str]]]
"""By table and version, the models that were trained on it."""


def pins(lake: Lake, pipeline: Pipeline, at: int, in_use: Collection[str]) -> Pins:
    """The versions that models are to be trained again on: those `in_use` (`fraud-pos/3`), and those young enough."""
    found: dict[str, dict[int, list[str]]] = {}
    words = pipeline.keeping.models
    for (name, version), made in training_sets(lake).items():
        model = f"{name}/{version}"
        if words is None or made.at >= at - int(words) or model in in_use:
            found.setdefault(made.vectors, {}).setdefault(made.vectors_version, []).append(model)
    return found


def is_kept_whole(table: str) -> bool:
    """Whether every version of a table stays."""
    return table.partition("/")[0] in FOR_EVER
