"""The models of a routing, loaded into this process and refused unless they read the pipeline's present vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from serve.routing import Model, Routing
from sluice.declare.pipeline import Pipeline
from sluice.errors import DataError
from sluice.scoring import Float64s, ModelSpec, Scorer, Vectors

BUCKETS = (1, 8, 32, 256)


@dataclass(frozen=True)
class Loaded:
    """A model with its interpreters; not thread-safe."""

    model: Model
    scorer: Scorer
    places: tuple[int, ...] | None
    """Where its inputs stand in the pipeline's vector; None when it takes the whole vector as it is."""

    def score(self, vectors: Vectors) -> Float64s:
        """Probabilities of whole vectors; DataError if one is none, whatever the graph did."""
        scores = self.scorer.score_vectors(vectors if self.places is None else vectors.take(self.places))
        if not np.all((scores >= 0) & (scores <= 1)):
            raise DataError("a score is no probability", where=str(self.model), allowed="0 to 1")
        return scores

    def decide(self, scores: Float64s) -> list[str]:
        """The decision of each score, by the model's thresholds."""
        return self.scorer.decide(scores)


@dataclass(frozen=True)
class Models:
    """A routing and its models: one set that answers, and one that shadows in another thread."""

    routing: Routing
    answering: Mapping[Model, Loaded] = field(default_factory=dict)
    shadowing: Mapping[Model, Loaded] = field(default_factory=dict)


def load_models(pipeline: Pipeline, routing: Routing, present: Models) -> Models:
    """Every model of a routing, those that are present already as they are; an error names the one that cannot serve.

    DataError or UserError: a folder without a model, or one that reads other vectors than the pipeline's.
    """
    rolling = {model for route in routing.routes.values() if route.challenger for model in route.models}
    return Models(
        routing,
        {model: present.answering.get(model) or load_model(pipeline, model) for model in routing.models},
        {model: present.shadowing.get(model) or load_model(pipeline, model) for model in rolling},
    )


def load_model(pipeline: Pipeline, model: Model) -> Loaded:
    """One model, ready to score; DataError or UserError when it cannot read the pipeline's vectors."""
    places = input_places(pipeline, check_model(pipeline, model))
    whole = places == tuple(range(len(pipeline.features)))
    loaded = Loaded(model, Scorer.load(model.path, buckets=BUCKETS), None if whole else places)
    nothing = np.zeros((1, len(pipeline.features)), np.int64)
    loaded.score(Vectors(nothing, nothing == 0))  # the first answer builds what later ones use
    return loaded


def check_model(pipeline: Pipeline, model: Model) -> ModelSpec:
    """The model's spec; DataError when it was trained on another definition than the pipeline's."""
    spec = ModelSpec.load(model.path)
    for said in (model.definition, spec.definition_hash):
        if said != pipeline.definition:
            raise DataError(
                f"trained on definition {said}, the pipeline's is {pipeline.definition}",
                where=str(model),
                next_step="train a model on the present definition",
            )
    input_places(pipeline, spec)
    return spec


def input_places(pipeline: Pipeline, spec: ModelSpec) -> tuple[int, ...]:
    """Where each input of a model stands in the pipeline's vector; DataError for one that is not in it."""
    places = {feature.name: place for place, feature in enumerate(pipeline.features)}
    missing = [each.name for each in spec.inputs if each.name not in places]
    if missing:
        raise DataError(f"inputs that no vector has: {', '.join(missing)}", where=spec.name, allowed=sorted(places))
    return tuple(places[each.name] for each in spec.inputs)


def as_vectors(pipeline: Pipeline, packed: Sequence[bytes]) -> Vectors:
    """Packed rows as the scorer reads them."""
    return Vectors.from_bytes(packed, len(pipeline.features))
