from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from flows.features import job_arguments
from flows.place import Place
from flows.train import mature_vectors, model_inputs, vectors_of, yardstick
from sluice import Training
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
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
