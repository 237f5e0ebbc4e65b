"""Every process finds the same engines, wherever it runs; an external engine is left as its owner configured it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.local.environment import engine_environment, is_embedded
from sluice.settings import Settings, settings

pytestmark = pytest.mark.unit


def test_places_are_absolute_so_that_a_child_in_another_folder_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLUICE_HOME", "state")

    given = engine_environment(settings())

    assert given["SLUICE_HOME"] == f"{tmp_path}/state"
    assert given["PREFECT_HOME"] == f"{tmp_path}/state/prefect"
    assert given["MLFLOW_TRACKING_URI"] == f"sqlite:///{tmp_path}/state/mlflow.db"
    assert given["_MLFLOW_SERVER_ARTIFACT_ROOT"] == f"file://{tmp_path}/state/mlartifacts"


def test_a_child_reads_the_settings_that_its_parent_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_KAFKA_PORT", "20001")
    monkeypatch.setenv("SLUICE_PREFECT_PORT", "20002")
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://:secret@127.0.0.1:6379")
    parent = settings()

    for name, value in engine_environment(parent).items():
        monkeypatch.setenv(name, value)
    child = Settings()

    assert (child.kafka, child.prefect_api) == ("127.0.0.1:20001", "http://127.0.0.1:20002/api")
    assert child.engines.redis_url == parent.engines.redis_url
    assert engine_environment(child) == engine_environment(parent)


def test_ray_is_kept_on_loopback_and_serve_on_its_own_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SERVE_STATS_PORT", "20003")

    given = engine_environment(settings())

    assert given["RAY_ADDRESS"] == "127.0.0.1:16379"
    assert given["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert given["RAY_SERVE_HAPROXY_STATS_PORT"] == "20003"


def test_an_external_ray_gets_its_address_and_nothing_that_would_change_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_RAY_ADDRESS", "ray://head.example:10001")

    given = engine_environment(settings())

    assert {name: value for name, value in given.items() if name.startswith("RAY_")} == {
        "RAY_ADDRESS": "ray://head.example:10001",
        "RAY_USAGE_STATS_ENABLED": "0",
    }


def test_an_external_prefect_keeps_the_profile_of_the_person(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example/api")

    given = engine_environment(settings())

    assert given["PREFECT_API_URL"] == "https://prefect.example/api"
    assert "PREFECT_HOME" not in given


def test_a_socket_of_haproxy_fits_into_its_97_characters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path.joinpath(*["a-rather-long-name"] * 6)))
    node = "f" * 56

    socket = Path(engine_environment(settings())["RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH"])

    assert len(str(socket.parent / node / socket.name)) <= 97


@pytest.mark.parametrize(
    ("configured", "embedded"),
    [
        (None, True),
        ("http://127.0.0.1:14200/api", True),
        ("http://127.0.0.1:14200/api/", True),
        ("http://a/api", False),
    ],
)
def test_our_own_address_is_not_somebody_elses_engine(configured: str | None, *, embedded: bool) -> None:
    assert is_embedded(configured, "http://127.0.0.1:14200/api") is embedded
