from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from feast import FeatureStore

from sluice import Key, Label, Pipeline, Stream, Windows, count
from sluice.declare.loading import load_pipeline
from sluice.errors import UserError
from sluice.feast.declared import declared_by
from sluice.feast.registry import apply, feature_store
from sluice.settings import settings

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    return tmp_path / "home"


def shop(*views: str, key: Key | None = None, name: str = "shop") -> Pipeline:
    events = Stream("events", id="event_id", time="at", columns={"customer_id": key or Key()})
    label = Label("bad", of=events, column="BAD", known_after="1d")
    windows = [Windows(view, of="customer_id", over=events, features=[count("1d")]) for view in views]
    return Pipeline(name, views=windows, label=label)


def names(store: FeatureStore) -> set[str]:
    return {view.name for view in [*store.list_feature_views(), *store.list_on_demand_feature_views()]}


def test_both_pipelines_live_in_one_registry(own_home: Path) -> None:
    apply(load_pipeline("fraud"))
    store = apply(load_pipeline("handbook"))
    assert {service.name for service in store.list_feature_services()} == {"fraud", "handbook"}
    assert {"customer_spend", "customer_spend_at", "fraud_moment", "terminal", "handbook_moment"} <= names(store)
    assert (own_home / "feast" / "registry.db").is_file()


def test_applying_again_changes_nothing() -> None:
    once = names(apply(shop("first", "second")))
    assert names(apply(shop("first", "second"))) == once


def test_a_view_that_is_no_longer_declared_goes_and_other_pipelines_stay() -> None:
    apply(load_pipeline("handbook"))
    apply(shop("first", "second"))
    store = apply(shop("second"))
    left = {f"{view}{part}" for view in ("second", "customer", "terminal") for part in ("", "_state", "_at")}
    assert names(store) == {*left, "handbook_moment"}
    assert {source.name for source in store.list_data_sources() if source.name.startswith("first")} == set()


def test_a_changed_definition_reaches_the_registry() -> None:
    apply(shop("first"))
    changed = shop("first", key=Key(nullable=False))
    store = apply(changed)
    assert declared_by(store.get_feature_view("first")).definition == changed.definition
    assert declared_by(store.get_on_demand_feature_view("first_at")).definition == changed.definition
    assert changed.definition in store.get_on_demand_feature_view("first_at").feature_transformation.udf_string


@pytest.mark.parametrize("other", [shop("first", name="second"), shop("fine", key=Key("text"), name="second")])
def test_what_belongs_to_another_pipeline_is_not_taken_over(other: Pipeline) -> None:
    apply(shop("first"))
    with pytest.raises(UserError, match="belongs to 'shop'"):
        apply(other)


def test_a_definition_that_the_code_no_longer_has_is_named(own_home: Path) -> None:
    store = apply(shop("first"))
    with pytest.raises(UserError, match=r"definition \w+ of pipeline 'shop', and the code here does not"):
        store.get_online_features(["first:count_1d"], [{"customer_id": 1}])


def test_a_relative_home_lies_beside_the_feature_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", "state")
    settings.cache_clear()
    copied(tmp_path)
    store = FeatureStore(repo_path=str(tmp_path / "feature_repo"))
    store.apply([])
    assert (tmp_path / "state" / "feast" / "registry.db").is_file()


def test_feast_apply_on_the_command_line_registers_every_pipeline(tmp_path: Path, own_home: Path) -> None:
    copied(tmp_path)
    feast = Path(sys.executable).with_name("feast")
    done = subprocess.run([feast, "apply"], cwd=tmp_path / "feature_repo", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (own_home / "feast" / "registry.db").is_file()
    by_command = names(feature_store())
    apply(load_pipeline("fraud"))
    apply(load_pipeline("handbook"))
    assert names(feature_store()) == by_command


def copied(tmp_path: Path) -> None:
    """A copy of the feature repository."""
    folder = tmp_path / "feature_repo"
    folder.mkdir()
    for path in Path("feature_repo").resolve().iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
