"""An event to retrain may come twice: what has learned since the decision is left as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.place import Place
from flows.retrain import learned
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, keep
from sluice.settings import settings
from tests.sluice.lake.open_shop import pipeline

pytestmark = pytest.mark.integration

AT = 1_767_264_000_000_000


def test_a_segment_has_learned_when_its_candidate_was_trained_since(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    settings.cache_clear()
    here = Place("open_shop.py", pipeline, Lake(str(tmp_path / "lake"), pipeline.name), settings())
    client = mlflow.MlflowClient(tracking_uri=here.settings.mlflow, registry_uri=here.settings.mlflow)
    name = f"{pipeline.name}-web"
    client.create_registered_model(name)
    for version in ("1", "2"):
        client.create_model_version(name, "file:///nowhere")
        keep(here.lake, TrainingSet(name, version, "web", "vectors", 0, 0, AT, "d", AT + int(version)))
        here.settings.places.at("models", "models", name, version).mkdir(parents=True)
    assert not learned(here, "web", AT)

    here.registry.set_alias("web", "candidate", 1)
    assert [learned(here, "web", AT + since) for since in (0, 1, 2)] == [True, True, False]
    here.registry.set_alias("web", "candidate", 2)
    assert learned(here, "web", AT + 2)
    assert not learned(here, "shop", AT)
