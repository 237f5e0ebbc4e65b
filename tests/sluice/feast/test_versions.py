"""A changed definition is a new version of the views that it changes, and the former one stays readable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sluice.clock import FileClock, to_datetime
from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.declare.lock import freeze
from sluice.declare.pipeline import Pipeline
from sluice.engine.places import open_store
from sluice.engine.vectors import vectors
from sluice.errors import DataError, DeclarationError, UserError
from sluice.feast.declared import declared_by
from sluice.feast.objects import repository_objects
from sluice.feast.registry import apply, feature_store
from sluice.feast.versions import history_of
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.settings import settings
from tests.sluice.feast.conftest import NOW, fill, publish, visit_requests, visits
from tests.sluice.feast.test_online import bits

pytestmark = pytest.mark.integration
CLINIC = Path(__file__).with_name("clinic.py")


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Pipeline]:
    """The clinic with parts of its declaration replaced; its history is in a lake of its own."""
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SLUICE_CLOCK", (tmp_path / "clock").as_uri())
    settings.cache_clear()
    FileClock(tmp_path / "clock").move_to(NOW)
    file = tmp_path / "clinic.py"

    def declare(*replaced: tuple[str, str]) -> Pipeline:
        text = CLINIC.read_text()
        for before, after in replaced:
            assert before in text
            text = text.replace(before, after)
        file.write_text(text)
        return load_pipeline(str(file))

    publish(Lake(settings().places.lake_uri, "clinic"), declare(), visits())
    return declare


SHORTER = ('count("1d", "7d"), mean("cost", "7d")', 'count("1d"), count("3d", name="count_7d"), mean("cost", "7d")')
"""Another window under the same name: the fields stay, and mean something else."""


def numbers(name: str) -> list[int]:
    return [row["version_number"] for row in feature_store().list_feature_view_versions(name)]


def test_the_same_declaration_again_is_no_new_version(clinic: Callable[..., Pipeline]) -> None:
    for _ in range(3):
        apply(clinic())
    assert (numbers("patient"), numbers("patient_state"), numbers("patient_at")) == ([0], [0], [0])


def test_a_view_whose_meaning_changed_has_a_new_version_and_the_others_have_not(
    clinic: Callable[..., Pipeline],
) -> None:
    apply(clinic())
    store = apply(clinic(SHORTER))
    assert (numbers("patient"), numbers("ward")) == ([0, 1], [0])
    found = store.registry.get_feature_view_by_version("patient", store.project, 0)
    made_from = declared_by(found)
    assert made_from is not None
    assert made_from.definition == clinic().definition


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ('delay="1d"', 'delay="2d"', ["ward"]),
        ("include_request=True", "include_request=False", ["patient"]),
        ("max=10_000", "max=20_000", ["patient", "ward"]),
        ('time="began_at"', 'time="began_at", accept_late="9d"', ["patient", "ward"]),
        ('mean("cost", "7d")', 'mean("cost", "7d", fill=0)', ["patient"]),
        ("    hour(),", '    hour(name="when"),', []),
    ],
)
def test_any_change_of_meaning_is_a_new_version(
    clinic: Callable[..., Pipeline], before: str, after: str, changed: list[str]
) -> None:
    apply(clinic())
    apply(clinic((before, after)))
    assert [name for name in ("patient", "ward") if numbers(name) == [0, 1]] == changed


def asked() -> pd.DataFrame:
    table = pd.DataFrame(visit_requests())
    return table.assign(event_timestamp=pd.to_datetime(table["began_at"], format="ISO8601", utc=True))


def test_history_is_read_by_the_former_definition_beside_the_present_one(clinic: Callable[..., Pipeline]) -> None:
    former = clinic()
    events = {name: Lake(settings().places.lake_uri, "clinic").read(f"silver/{name}") for name in visits()}
    apply(former)
    store = apply(present := clinic(SHORTER))
    references = ["patient_at@v0:count_7d", "patient_at:count_7d", "patient_at@v1:count_7d"]
    found = store.get_historical_features(asked(), references, full_feature_names=True).to_arrow()
    for pipeline, column in ((former, "patient_at@v0"), (present, "patient_at"), (present, "patient_at@v1")):
        encoded = {name: _encoded(pipeline, name, table) for name, table in events.items()}
        computed = vectors(pipeline, encoded, encode_requests(pipeline, visit_requests()))
        read = found.column(f"{column}__count_7d").to_pylist()
        assert bits(read) == bits(computed.column("patient__count_7d").to_pylist())
    counts = [found.column(f"patient_at{version}__count_7d").to_pylist() for version in ("@v0", "")]
    assert counts[0] != counts[1]


def _encoded(pipeline: Pipeline, name: str, table: Any) -> Any:
    from sluice.engine.encode import encode

    return encode(table, pipeline.stream(name))


def test_a_view_that_is_read_at_a_moment_has_versions_too(clinic: Callable[..., Pipeline]) -> None:
    apply(clinic())
    before = feature_store()
    moments = pd.DataFrame({"patient": ["anna", "émile"], "event_timestamp": [to_datetime(NOW)] * 2})
    once = before.get_historical_features(moments, ["patient:since_last"]).to_arrow().column("since_last")
    store = apply(clinic(SHORTER))
    again = store.get_historical_features(moments, ["patient@v0:since_last"]).to_arrow().column("since_last")
    assert again == once
    assert again.null_count == 0


def test_a_feature_that_is_gone_is_readable_in_its_version(clinic: Callable[..., Pipeline]) -> None:
    apply(clinic())
    moments = pd.DataFrame({"ward": [1], "event_timestamp": [to_datetime(NOW)]})
    once = feature_store().get_historical_features(moments, ["ward:share_relapse_7d"]).to_arrow()
    gone = ('features=[count("7d"), share("relapse", "7d")]', 'features=[count("7d")]')
    store = apply(clinic(gone))
    again = store.get_historical_features(moments, ["ward@v0:share_relapse_7d"]).to_arrow()
    assert again.column("share_relapse_7d") == once.column("share_relapse_7d")


def test_online_a_version_answers_while_it_is_what_the_view_still_means(clinic: Callable[..., Pipeline]) -> None:
    pipeline = clinic()
    lake = Lake(settings().places.lake_uri, "clinic")
    store = open_store(settings().online_uri, "clinic")
    fill(pipeline, store, {name: _encoded(pipeline, name, lake.read(f"silver/{name}")) for name in visits()})
    store.close()
    apply(pipeline)
    feast = apply(clinic(SHORTER))  # ward means the same as before
    rows = [{"ward": 1}]
    assert (
        feast.get_online_features(["ward@v0:count_7d"], rows).to_dict()
        == feast.get_online_features(["ward:count_7d"], rows).to_dict()
    )
    with pytest.raises(UserError, match=r"patient@v0: the online store holds the present definition alone"):
        feast.get_online_features(["patient@v0:count_7d"], [{"patient": "anna"}])


def test_every_version_says_what_changed(clinic: Callable[..., Pipeline]) -> None:
    apply(clinic())
    apply(clinic(SHORTER))
    store = apply(pipeline := clinic(SHORTER, ('delay="1d"', 'delay="2d"')))
    told = {version.reference: [str(change) for change in version.changes] for version in history_of(store, pipeline)}
    assert told == {
        "patient@v0": [],
        "patient@v1": ["view patient, feature count_7d, window: 7d → 3d"],
        "ward@v0": [],
        "ward@v1": ["view ward, delay: 1d → 2d"],
    }


def test_a_version_without_its_description_names_the_way_out(clinic: Callable[..., Pipeline]) -> None:
    apply(clinic())
    store = apply(clinic(SHORTER))
    record = next(
        one
        for one in store.registry.cached_registry_proto.feature_view_version_history.records
        if (one.feature_view_name, one.version_number) == ("patient", 0)
    )
    view = store.registry.get_feature_view_by_version("patient", store.project, 0)
    del view.tags["sluice.description"]
    record.feature_view_proto = view.to_proto().SerializeToString()
    store.registry.commit()
    moments = pd.DataFrame({"patient": ["anna"], "event_timestamp": [to_datetime(NOW - DAY)]})
    with pytest.raises(DataError, match="registered before versions carried what they mean"):
        feature_store().get_historical_features(moments, ["patient@v0:count_7d"])


def test_a_frozen_declaration_that_changed_is_not_applied(clinic: Callable[..., Pipeline], tmp_path: Path) -> None:
    freeze(clinic(), tmp_path / "clinic.py")
    with pytest.raises(DeclarationError, match="view patient, feature count_7d, window: 7d → 3d"):
        clinic(SHORTER)
    with pytest.raises(DeclarationError, match="sluice features freeze"):
        repository_objects(tmp_path)
