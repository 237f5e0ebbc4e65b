"""Retrain: what a decision asks for — fresh vectors, new candidates, and their first step in the rollout."""

from __future__ import annotations

from prefect import flow

from flows.features import features
from flows.place import moment, place
from flows.rollout import rollout
from flows.train import train
from sluice.declare.checks import one_of
from sluice.declare.pipeline import ALL


@flow(name="retrain")
def retrain(pipeline: str, segments: str = ALL, control: bool = True, at: int | None = None) -> list[str]:
    """Retrain segments (their names with commas between) on everything known at `at`, and begin their rollout.

    The rollout moves when the models are there, which is later. `control` also makes models from shuffled labels, to
    show that a rollout refuses what has learnt nothing.
    """
    now = moment(at)
    wanted = [name.strip() for name in segments.split(",")]
    features(pipeline, at=now, online=False)
    train(pipeline, segments=known(pipeline, wanted), control=control, at=now)
    return rollout(pipeline)


def known(pipeline: str, wanted: list[str]) -> list[str]:
    """The wanted segments; DeclarationError for one that the pipeline does not declare."""
    declared = (*place(pipeline).pipeline.segments, ALL)
    return [one_of(name, declared, where="retrain", kind="segment") for name in wanted]
