"""Which services there are, what they need, and which of them are somebody else's."""

from __future__ import annotations

import pytest

from sluice.errors import UserError
from sluice.local.plan import plan, with_dependents, with_needs
from sluice.settings import settings

pytestmark = pytest.mark.unit


def test_every_service_comes_after_those_it_needs() -> None:
    services = plan(settings())
    names = [service.name for service in services]

    assert names == ["kafka", "prefect", "ray", "mlflow", "worker", "serve"]
    assert all(names.index(need) < names.index(service.name) for service in services for need in service.after)


def test_by_default_nothing_is_external() -> None:
    assert [service.name for service in plan(settings()) if service.external] == []


@pytest.mark.parametrize(
    ("variable", "address", "external"),
    [
        ("SLUICE_KAFKA_BOOTSTRAP", "broker.example:9092", ["kafka"]),
        ("SLUICE_KAFKA_BOOTSTRAP", "127.0.0.1:19092", []),
        ("PREFECT_API_URL", "https://prefect.example/api", ["prefect", "worker"]),
        ("PREFECT_API_URL", "http://127.0.0.1:14200/api", []),
        ("SLUICE_RAY_ADDRESS", "ray://head.example:10001", ["ray", "serve"]),
        ("MLFLOW_TRACKING_URI", "https://mlflow.example", ["mlflow"]),
        ("SLUICE_REDIS_URL", "redis://user:secret@cache.example:6379/0", ["redis"]),
        ("SLUICE_SPARK_MASTER", "spark://master.example:7077", ["spark"]),
    ],
)
def test_a_named_engine_is_external_unless_the_name_is_our_own(
    monkeypatch: pytest.MonkeyPatch, variable: str, address: str, external: list[str]
) -> None:
    monkeypatch.setenv(variable, address)

    assert [service.name for service in plan(settings()) if service.external] == external


def test_a_shown_address_never_holds_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_REDIS_URL", "redis://user:secret@cache.example:6379/0")

    [redis] = [service for service in plan(settings()) if service.name == "redis"]

    assert redis.address == "cache.example:6379/0"


def test_starting_one_service_starts_what_it_needs() -> None:
    assert [service.name for service in with_needs(plan(settings()), ["serve"])] == ["ray", "serve"]


def test_stopping_one_service_stops_what_needs_it() -> None:
    assert with_dependents(plan(settings()), ["prefect"]) == {"prefect", "worker"}


@pytest.mark.parametrize("choose", [with_needs, with_dependents])
def test_an_unknown_service_is_refused_with_the_nearest_name(choose: object) -> None:
    assert callable(choose)
    with pytest.raises(UserError, match=r"unknown service 'kafkaa'(?s:.*)did you mean 'kafka'"):
        choose(plan(settings()), ["kafkaa"])


def test_no_two_services_want_the_same_port() -> None:
    ports = [port for service in plan(settings()) for port in service.ports.values()]

    assert len(ports) == len(set(ports))
