"""Settings: read once, typed, unknown names refused with the nearest one, secrets masked."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from pydantic import ValidationError

from sluice.errors import SettingsError
from sluice.settings import Engines, Places, Ports, Settings, Sizes, Warehouse, known_variables, settings, variable

pytestmark = pytest.mark.unit


def test_a_part_that_is_not_named_is_embedded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    found = settings()

    assert found.kafka == "127.0.0.1:19092"
    assert found.prefect_api == "http://127.0.0.1:14200/api"
    assert found.ray == "127.0.0.1:16379"
    assert found.serve_url == "http://127.0.0.1:18000"
    assert found.mlflow == f"sqlite:///{tmp_path}/mlflow.db"
    assert found.places.lake_uri == str(tmp_path / "lake")
    assert found.online_uri == f"sqlite:///{tmp_path}/online"


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("SLUICE_KAFKA_BOOTSTRAP", "broker:9092", lambda found: found.kafka),
        ("PREFECT_API_URL", "http://prefect/api", lambda found: found.prefect_api),
        ("MLFLOW_TRACKING_URI", "http://mlflow", lambda found: found.mlflow),
        ("SLUICE_RAY_ADDRESS", "head:6379", lambda found: found.ray),
        ("SLUICE_SERVE_URL", "http://serve", lambda found: found.serve_url),
        ("SLUICE_LAKE", "s3://bucket/lake", lambda found: found.places.lake_uri),
        ("SLUICE_ONLINE", "sqlite:////data", lambda found: found.online_uri),
        ("SLUICE_SCHEMA_REGISTRY_URL", "https://ann:secret@registry", lambda found: found.schema_registry),
        ("SLUICE_SPARK_MASTER", "spark://m:7077", lambda found: found.engines.spark_master),
    ],
)
def test_an_external_part_is_named_by_one_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, read: object
) -> None:
    monkeypatch.setenv(name, value)

    assert read(settings()) == value


def test_a_relative_home_is_below_the_folder_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICE_HOME", "state")
    monkeypatch.chdir(tmp_path)

    assert settings().places.at("logs", "a") == tmp_path / "state" / "logs" / "a"


def test_settings_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = settings()
    monkeypatch.setenv("SLUICE_KAFKA_PORT", "20000")

    assert settings() is first
    assert settings().ports.kafka_port == 19092


def test_an_unknown_name_is_refused_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_CLOK", "wall")

    with pytest.raises(SettingsError, match=r"environment: unknown setting 'SLUICE_CLOK'") as raised:
        settings()
    assert raised.value.next_step == "did you mean 'SLUICE_CLOCK'?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SLUICE_KAFKA_PORT", "80"),
        ("SLUICE_KAFKA_PORT", "many"),
        ("SLUICE_DETECTOR", "evidently"),
        ("SLUICE_SPARK_DRIVER_MEMORY", "3 GB"),
        ("SLUICE_RAY_CPUS", "0"),
    ],
)
def test_an_impossible_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError, match=name) as raised:
        settings()
    assert repr(value) in str(raised.value)


def test_variables_of_others_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PORT", "1")
    monkeypatch.setenv("SLUICED", "1")

    assert settings().ports.kafka_port == 19092


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://:hunter2@cache:6379/0")
    engines = settings().engines

    assert "hunter2" not in f"{engines!r}{engines}{engines.redis_url}{settings()!r}{engines.model_dump()}"
    assert engines.redis_url is not None
    assert engines.redis_url.get_secret_value() == "redis://:hunter2@cache:6379/0"


def test_settings_cannot_be_changed() -> None:
    found = settings()

    with pytest.raises(ValidationError, match="frozen"):
        found.ports.kafka_port = 1
    with pytest.raises(FrozenInstanceError):
        found.ports = Ports()


def test_every_variable_belongs_to_one_area() -> None:
    areas = (Places, Engines, Ports, Sizes, Warehouse)
    names = [variable(area, name) for area in areas for name in area.model_fields]

    assert sorted(names) == known_variables()
    assert len(set(names)) == len(names)
    assert set(Settings.__dataclass_fields__) == {"places", "engines", "ports", "sizes", "warehouse"}
    assert {name for name in names if not name.startswith("SLUICE_")} == {"PREFECT_API_URL", "MLFLOW_TRACKING_URI"}


def test_no_two_services_share_a_port() -> None:
    numbers = [field.default for field in Ports.model_fields.values()]

    assert len(set(numbers)) == len(numbers)


def test_the_cache_follows_the_base_directories(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SLUICE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert Places().cache_folder == tmp_path / "xdg" / "sluice"

    monkeypatch.setenv("SLUICE_CACHE", str(tmp_path / "mine"))
    assert Places().cache_folder == tmp_path / "mine"
