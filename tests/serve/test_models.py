from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from feature_repo.fraud import pipeline
from serve.models import Models, as_vectors, check_model, input_places, load_model, load_models
from serve.routing import Model, Route, Routing
from sluice.engine.read import answer
from sluice.engine.store import MemoryStore
from sluice.engine.vectors import pack
from sluice.errors import DataError
from sluice.scoring import ModelSpec, Vectors
from tests.serve.conftest import encoded, payment

pytestmark = pytest.mark.unit
NOTHING = Models(Routing())


def vectors(*events: dict[str, object]) -> Vectors:
    return as_vectors(pipeline, pack(pipeline, answer(pipeline, MemoryStore(), encoded(events)).values))


def test_a_model_scores_the_vector_that_the_engine_packs(model: Callable[..., Model]) -> None:
    loaded = load_model(pipeline, model(bias=-1.0, weights={"moment__amount": 0.01}))
    scores = loaded.score(vectors(payment(amount=100.0), payment(amount=300.0)))
    assert scores == pytest.approx([1 / 2, 1 / (1 + np.exp(-2.0))], abs=1e-6)
    assert loaded.decide(scores) == ["review", "review"]


def test_a_model_that_leaves_out_features_reads_its_own_places(model: Callable[..., Model]) -> None:
    made = model(weights={"moment__amount": 0.01})
    spec = ModelSpec.load(made.path)
    assert input_places(pipeline, replace(spec, inputs=spec.inputs[3:5])) == (3, 4)


def test_a_model_of_another_definition_is_refused_with_both(model: Callable[..., Model]) -> None:
    with pytest.raises(DataError, match=f"trained on definition old, the pipeline's is {pipeline.definition}"):
        load_model(pipeline, model(definition="old"))


def test_a_folder_that_says_another_definition_than_its_routing_is_refused(model: Callable[..., Model]) -> None:
    made = model(definition="old")
    with pytest.raises(DataError, match="trained on definition old"):
        check_model(pipeline, replace(made, definition=pipeline.definition))


def test_an_input_that_no_vector_has_is_named(model: Callable[..., Model]) -> None:
    spec = ModelSpec.load(model().path)
    strange = replace(spec, inputs=(replace(spec.inputs[0], name="spend__sum_9d"),))
    with pytest.raises(DataError, match="spend__sum_9d"):
        input_places(pipeline, strange)


def test_a_score_that_is_no_probability_is_a_failure(model: Callable[..., Model]) -> None:
    made = model(weights={"moment__amount": 1.0})
    with pytest.raises(DataError, match="no probability"):
        load_model(pipeline, replace(made, version="2", folder=model(version=2, bias=float("nan")).folder))


def test_models_that_are_there_already_are_kept_and_only_rolling_ones_shadow(model: Callable[..., Model]) -> None:
    one, two, rest = model("pos", 1), model("pos", 2), model()
    first = load_models(pipeline, Routing({"pos": Route(one), "*": Route(rest)}), NOTHING)
    second = load_models(pipeline, Routing({"pos": Route(one, two), "*": Route(rest)}), first)
    assert second.answering[one] is first.answering[one]
    assert set(first.shadowing) == set()
    assert set(second.shadowing) == {one, two}
    assert second.shadowing[one] is not second.answering[one]  # another thread, other interpreters
