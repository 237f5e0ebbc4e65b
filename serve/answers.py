"""Scores for the events of one request: who answers each, who stands in when a model fails, and what shadows say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serve.models import Loaded, Models
from serve.requests import Batch, Refusal
from serve.routing import Model, Role
from sluice.errors import SluiceError
from sluice.scoring import Float64s, Vectors


@dataclass(frozen=True, slots=True)
class Scored:
    """What one model said of one event; the score is NaN when it failed."""

    place: int
    """Which event of the request."""
    model: Model
    role: Role
    score: float
    decision: str
    degraded: bool = False


@dataclass(frozen=True)
class Answers:
    """The answer to every event in order, and what failed on the way to it."""

    given: Sequence[Scored]
    failed: Sequence[Scored] = ()


@dataclass
class _Answering:
    """One request while it is being answered."""

    models: Models
    batch: Batch
    vectors: Vectors
    given: dict[int, Scored] = field(default_factory=dict)
    failed: list[Scored] = field(default_factory=list)

    def try_models(self, candidates: Sequence[tuple[Model, Role]], places: Sequence[int]) -> bool:
        """Let the first model that can answer these events; whether one could."""
        for attempt, (model, role) in enumerate(dict(candidates).items()):
            scores = _scores(self.models.answering[model], self.vectors, places)
            if scores is not None:
                decisions = self.models.answering[model].decide(scores)
                for place, score, decision in zip(places, scores.tolist(), decisions, strict=True):
                    self.given[place] = Scored(place, model, role, score, decision, degraded=attempt > 0)
                return True
            self.failed.extend(_failures(model, places))
        return False


def answer_events(models: Models, batch: Batch, vectors: Vectors) -> Answers | Refusal:
    """Every event's answer; a refusal when no model may or can answer one of them."""
    answering = _Answering(models, batch, vectors)
    groups: dict[tuple[str, Model, Role], list[int]] = {}
    for place, (segment, card) in enumerate(zip(batch.segments, batch.cards, strict=True)):
        assigned = models.routing.assign(segment, card)
        if assigned is None:
            return Refusal.whole(503, "model", f"segments {', '.join(models.routing.routes) or 'none'}", value=segment)
        groups.setdefault((segment, assigned.model, assigned.role), []).append(place)
    for (segment, model, role), places in groups.items():
        if not answering.try_models([(model, role), *models.routing.spares(segment)], places):
            return Refusal.whole(503, "model", "a model that answers", value=segment)
    return Answers([answering.given[place] for place in range(len(batch))], answering.failed)


def shadow_events(models: Models, batch: Batch, vectors: Vectors) -> list[Scored]:
    """What every model that shadows an event of the batch says of it; never an error."""
    groups: dict[Model, list[int]] = {}
    for place, (segment, card) in enumerate(zip(batch.segments, batch.cards, strict=True)):
        assigned = models.routing.assign(segment, card)
        for model in assigned.shadows if assigned else ():
            groups.setdefault(model, []).append(place)
    return [
        scored for model, places in groups.items() for scored in _shadowed(models.shadowing, model, vectors, places)
    ]


def _shadowed(
    loaded: Mapping[Model, Loaded], model: Model, vectors: Vectors, places: Sequence[int]
) -> Iterator[Scored]:
    scores = _scores(loaded[model], vectors, places)
    if scores is None:
        yield from _failures(model, places)
        return
    for place, score, decision in zip(places, scores.tolist(), loaded[model].decide(scores), strict=True):
        yield Scored(place, model, Role.SHADOW, score, decision)


def _scores(loaded: Loaded, vectors: Vectors, places: Sequence[int]) -> Float64s | None:
    """The model's scores of some of the vectors; None when it cannot give them."""
    mine = vectors if len(places) == len(vectors) else Vectors(vectors.words[places], vectors.nulls[places])
    try:
        return loaded.score(mine)
    except (SluiceError, ValueError, RuntimeError):  # the interpreter raises the latter two
        return None


def _failures(model: Model, places: Sequence[int]) -> Iterator[Scored]:
    """A failure is logged as a shadow without a score: nobody was told, and the error rate counts it."""
    return (Scored(place, model, Role.SHADOW, float(np.nan), "", degraded=True) for place in places)
