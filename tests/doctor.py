"""What the doctor finds wrong with a lake that a test has left."""

from __future__ import annotations

from sluice.declare.pipeline import Pipeline
from sluice.lake.doctor import INVARIANTS
from sluice.lake.tables import Lake


def ailments(lake: Lake, pipeline: Pipeline) -> list[str]:
    """Each invariant that does not hold, of what, and how it shows; nothing of a sound lake."""
    return [f"{name}: {one.about}: {one.found}" for name, check in INVARIANTS.items() for one in check(lake, pipeline)]
