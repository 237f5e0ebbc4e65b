"""Retrain: what a decision asks for — fresh vectors, new candidates, and their first step in the rollout."""

from __future__ import annotations

from prefect import flow

from flows.features import features
from flows.place import Place, moment, place
from flows.rollout import CANDIDATE, rollout
from flows.train import train
from sluice.declare.checks import one_of
from sluice.declare.pipeline import ALL
from sluice.lake.training_sets import training_sets


@flow(name="retrain")
def retrain(
    pipeline: str, segments: str = ALL, control: bool = True, at: int | None = None, decided: int | None = None
) -> list[str]:
    """Retrain segments (their names with commas between) on everything known at `at`, and begin their rollout.

    The rollout moves when the models are there, which is later. `control` also makes models from shuffled labels, to
    show that a rollout refuses what has learnt nothing. `decided` is the moment of the decision that asks for it: a
    segment whose candidate was trained since is left as it is, so that an event may come twice.
    """
    now = moment(at)
    wanted = known(pipeline, [name.strip() for name in segments.split(",")])
    if decided is not None:
        wanted = [segment for segment in wanted if not learned(place(pipeline), segment, decided)]
    if wanted:
        features(pipeline, at=now, online=False)
        train(pipeline, segments=wanted, control=control, at=now)
    return rollout(pipeline)


def learned(here: Place, segment: str, since: int) -> bool:
    """Whether a segment's candidate was trained at a moment or after it."""
    candidate = here.registry.resolve(segment, CANDIDATE)
    if candidate is None:
        return False
    made = training_sets(here.lake).get((candidate.name, str(candidate.version)))
    return made is not None and made.at >= since


def known(pipeline: str, wanted: list[str]) -> list[str]:
    """The wanted segments; DeclarationError for one that the pipeline does not declare."""
    declared = (*place(pipeline).pipeline.segments, ALL)
    return [one_of(name, declared, where="retrain", kind="segment") for name in wanted]
