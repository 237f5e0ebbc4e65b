from __future__ import annotations

import ast
from pathlib import Path

import pytest
from feast import Entity, FeatureService, FeatureView, OnDemandFeatureView
from feast.types import Bytes, Float64, Int64, String

from sluice import Key, Label, Pipeline, Stream, Windows, count
from sluice.declare.loading import load_pipeline, registered
from sluice.errors import DeclarationError
from sluice.feast.declared import Declared, declared_by
from sluice.feast.objects import feast_objects, references, repository_objects, together
from sluice.feast.source import SilverSource

pytestmark = pytest.mark.integration
HERE = Path(__file__).parent
FRAUD = load_pipeline("fraud")


def named(pipeline: Pipeline, kind: type) -> dict[str, object]:
    return {item.name: item for item in feast_objects(pipeline) if isinstance(item, kind)}


def types(fields: list[object]) -> dict[str, object]:
    return {field.name: field.dtype for field in fields}  # type: ignore[attr-defined]


def test_each_key_is_an_entity_of_its_type() -> None:
    clinic = load_pipeline(str(HERE / "clinic.py"))
    assert {name: entity.value_type.name for name, entity in named(clinic, Entity).items()} == {
        "patient": "STRING",
        "ward": "INT64",
    }


def test_a_windowed_view_has_its_features_and_a_view_of_the_entitys_state_beside_it() -> None:
    view = named(FRAUD, FeatureView)["terminal_reports"]
    assert types(view.features) == {
        "count_7d": Float64,
        "count_30d": Float64,
        "since_last": Float64,
    }
    assert types(named(FRAUD, FeatureView)["terminal_reports_state"].features) == {"terminal_reports_tiles": Bytes}
    assert types(view.entity_columns) == {"terminal_id": Int64}
    assert view.batch_source.name == "fraud_chargebacks"


@pytest.mark.parametrize(
    ("view", "columns"),
    [
        ("customer_spend_at", {"event_time": String, "transaction_id": Int64, "amount": Float64}),
        ("terminal_risk_at", {"event_time": String, "transaction_id": Int64}),
        (
            "fraud_moment",
            {"event_time": String, "transaction_id": Int64, "amount": Float64, "channel": String, "country": String},
        ),
    ],
)
def test_a_computed_view_asks_for_no_more_of_the_request_than_it_needs(view: str, columns: dict[str, object]) -> None:
    found = named(FRAUD, OnDemandFeatureView)[view]
    assert types(found.source_request_sources[f"{view}_request"].schema) == columns


def test_a_request_view_stands_on_the_states_of_its_operands() -> None:
    found = named(FRAUD, OnDemandFeatureView)["fraud_moment"]
    assert set(found.source_feature_view_projections) == {"customer_spend_state", "terminal_traffic_state"}
    assert types(found.features)["country"] == Int64
    assert types(found.features)["pace"] == Float64


def test_an_entity_key_is_never_request_data() -> None:
    clinic = load_pipeline(str(HERE / "clinic.py"))
    found = named(clinic, OnDemandFeatureView)["clinic_moment"]
    asked = types(found.source_request_sources["clinic_moment_request"].schema)
    assert asked == {"began_at": String, "visit_id": String, "cost": Float64, "reason": String}


@pytest.mark.parametrize("name", registered())
def test_the_service_is_the_vector(name: str) -> None:
    pipeline = load_pipeline(name)
    service = named(pipeline, FeatureService)[name]
    offered = {f"{part.name}:{feature.name}" for part in service.feature_view_projections for feature in part.features}
    assert set(references(pipeline).values()) == offered
    assert list(references(pipeline)) == [place.name for place in pipeline.features]


def test_references_name_the_feature_at_the_request() -> None:
    assert references(FRAUD)["customer_spend__count_7d"] == "customer_spend_at:count_7d"
    assert references(FRAUD)["moment__pace"] == "fraud_moment:pace"


def test_views_services_and_sources_carry_the_definition() -> None:
    tagged = [item for item in feast_objects(FRAUD) if not isinstance(item, Entity)]
    assert {declared_by(item).definition for item in tagged} == {FRAUD.definition}
    assert declared_by(named(FRAUD, FeatureView)["terminal_risk"]) == Declared(
        "fraud", "terminal_risk", FRAUD.definition
    )


def test_a_pipeline_outside_the_repository_carries_its_file() -> None:
    first, again = (load_pipeline(str(HERE / "clinic.py")) for _ in range(2))
    for clinic in (first, again):
        assert declared_by(named(clinic, FeatureView)["ward"]).file == str(HERE / "clinic.py")


def test_an_object_survives_the_registry_format() -> None:
    for view in named(FRAUD, FeatureView).values():
        assert FeatureView.from_proto(view.to_proto()) == view
        assert SilverSource.from_proto(view.batch_source.to_proto()) == view.batch_source
    for view in named(FRAUD, OnDemandFeatureView).values():
        assert OnDemandFeatureView.from_proto(view.to_proto()) == view


def test_the_function_in_the_registry_is_python() -> None:
    for view in named(FRAUD, OnDemandFeatureView).values():
        (function,) = ast.parse(view.feature_transformation.udf_string).body
        assert isinstance(function, ast.FunctionDef)
        assert function.name == view.name


def test_the_repository_offers_every_registered_pipeline() -> None:
    offered = repository_objects(Path("feature_repo").resolve())
    services = {item.name for item in offered.values() if isinstance(item, FeatureService)}
    assert services == set(registered())


def test_a_file_that_declares_no_pipeline_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("raise RuntimeError('this is a file of its own')")
    assert repository_objects(tmp_path) == {}


def test_pipelines_may_share_an_entity_of_one_type() -> None:
    objects = together([FRAUD, load_pipeline("handbook")])
    assert objects["entity_customer_id"].name == "customer_id"


@pytest.mark.parametrize(("key", "view"), [(Key("text"), "other"), (Key(), "customer_spend")])
def test_two_pipelines_that_differ_under_one_name_are_refused(key: Key, view: str) -> None:
    events = Stream("events", id="event_id", time="at", columns={"customer_id": key})
    label = Label("bad", of=events, column="BAD", known_after="1d")
    windows = Windows(view, of="customer_id", over=events, features=[count("1d")])
    with pytest.raises(DeclarationError, match="declared otherwise in pipeline 'fraud'"):
        together([FRAUD, Pipeline("second", views=[windows], label=label)])
