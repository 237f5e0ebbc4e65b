from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from flows.features import job_arguments
from flows.place import Place
from flows.train import (
    about,
    adopt,
    mature_vectors,
    model_inputs,
    registered_before,
    training_request,
    vectors_of,
    yardstick,
)
from models.request import SHUFFLED, TrainingRequest, Variant
from sluice import Training
from sluice.declare.durations import DAY
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, training_sets
from sluice.settings import settings
from tests.sluice.stream.priced import pipeline

pytestmark = pytest.mark.integration

AS_SERVED = replace(pipeline, training=Training(knowledge="as_served"))


def here(folder: Path, declared: Pipeline) -> Place:
    return Place("priced", declared, Lake(str(folder), declared.name), settings())


@pytest.mark.parametrize(("declared", "table"), [(pipeline, "vectors"), (AS_SERVED, "vectors_as_served")])
def test_models_are_trained_on_the_vectors_that_know_what_is_declared(
    tmp_path: Path, declared: Pipeline, table: str
) -> None:
    place = here(tmp_path, declared)
    for name in ("vectors", "vectors_as_served"):
        rows = pa.table({"event_id": [3, 2, 1], "event_time": [5, 5, 9], "label": [1, 0, 1], "table": [name] * 3})
        place.lake.append(name, rows)
        place.lake.append(name, rows.set_column(0, "event_id", pa.array([6, 5, 4])))

    found = mature_vectors(place, 0, 9, version=0)

    assert vectors_of(declared) == table
    assert (found["event_id"].to_pylist(), found["table"].to_pylist()) == ([2, 3], [table] * 2)


def test_the_backfill_computes_vectors_as_served_for_a_pipeline_that_trains_on_them(tmp_path: Path) -> None:
    told = [job_arguments(here(tmp_path, declared), 4, 17, {"terms": 2}) for declared in (pipeline, AS_SERVED)]
    assert told[0][-6:] == ["--base", "4", "--at", "17", "--table", "terms@2"]
    assert told[1] == [*told[0], "--as-served"]


def test_looked_up_and_calendar_features_are_inputs_like_any_other() -> None:
    inputs = {each.name: (each.kind, each.size, each.open) for each in model_inputs(pipeline)}
    assert list(inputs) == [place.name for place in pipeline.features]
    assert inputs["calendar__is_holiday"] == ("number", None, False)
    assert inputs["prices__level"] == ("number", None, False)
    assert inputs["terms__plan"] == ("category", 2, False)
    assert inputs["moment__season"] == ("category", 4, False)
    assert inputs["moment__kind"] == ("category", 64, True)
    assert yardstick(pipeline) is None


AT = 1_767_264_000_000_000
END = AT - int(pipeline.label.settled_after)
BACK = int(pipeline.training.history)


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place with vectors of as many days as training looks back, and of one more."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)  # MLflow leaves there which one it was told last
    settings.cache_clear()
    place = here(tmp_path / "lake", pipeline)
    times = [END - BACK, END - BACK + DAY, END - 1]
    place.lake.append("vectors", pa.table({"event_id": [1, 2, 3], "event_time": times, "label": [0, 0, 1]}))
    return place


def registered(place: Place, request: TrainingRequest, variant: str, version: int) -> None:
    """A version as a run leaves it that dies before it can say anything of it to the lake."""
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=place.settings.mlflow, registry_uri=place.settings.mlflow)
    if version == 1:
        client.create_registered_model("priced-all")
    own = {"pipeline": "priced", "segment": "*", "variant": variant, "request": request.identity}
    made = client.create_model_version("priced-all", "file:///nowhere", tags={**own, **request.tags})
    assert int(made.version) == version


def test_what_models_were_trained_on_whose_run_died_is_kept_by_the_next_run(trained: Place) -> None:
    request = training_request(trained, ["*"], (Variant(), SHUFFLED), AT)
    registered(trained, request, "candidate", 1)
    registered(trained, training_request(trained, ["*"], (Variant(), SHUFFLED), AT + DAY), "candidate", 2)
    for _ in range(2):
        adopt(trained)
    span = (END - BACK, END)
    assert training_sets(trained.lake) == {
        ("priced-all", "1"): TrainingSet("priced-all", "1", "*", "vectors", 0, *span, pipeline.definition, AT),
        ("priced-all", "2"): TrainingSet(
            "priced-all", "2", "*", "vectors", 0, *(one + DAY for one in span), pipeline.definition, AT + DAY
        ),
    }
    assert trained.lake.count("training_sets") == 2


def test_what_a_run_registered_before_it_died_is_taken_up_by_one_of_the_same_data_and_moment(trained: Place) -> None:
    request = training_request(trained, ["*"], (Variant(), SHUFFLED), AT)
    registered(trained, request, "candidate", 1)
    found = registered_before(trained, training_request(trained, ["*"], (Variant(), SHUFFLED), AT))
    assert [(one.name, one.version, one.variant) for one in found] == [("priced-all", 1, "candidate")]
    assert [(one.name, one.version) for one in about(trained, request, found).writes] == [("priced-all", "1")]
    assert registered_before(trained, training_request(trained, ["*"], (Variant(),), AT + DAY)) == []
    trained.lake.append("vectors", pa.table({"event_id": [4], "event_time": [END - 2], "label": [0]}))
    assert registered_before(trained, training_request(trained, ["*"], (Variant(),), AT)) == []
