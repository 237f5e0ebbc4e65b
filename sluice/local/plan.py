"""Which services there are for given settings, in the order in which they may start."""

from __future__ import annotations

from collections.abc import Sequence

from sluice.errors import UserError
from sluice.local.health import reachable
from sluice.local.kafka_broker import kafka_broker
from sluice.local.mlflow_store import mlflow_store
from sluice.local.prefect_services import prefect_server, prefect_worker
from sluice.local.ray_head import ray_head, ray_serve
from sluice.local.redis_server import redis_server
from sluice.local.service import Service
from sluice.settings import Settings


def plan(settings: Settings) -> list[Service]:
    """Every service, each after those it needs; external ones among them."""
    built_in = [kafka_broker, prefect_server, ray_head, mlflow_store, prefect_worker, ray_serve]
    optional = [redis_server(settings), _spark(settings)]
    return [*(make(settings) for make in built_in), *(service for service in optional if service is not None)]


def with_needs(services: Sequence[Service], names: Sequence[str] | None) -> list[Service]:
    """The named services and those they need, in the order given; all of them without names."""
    if names is None:
        return list(services)
    by_name = {service.name: service for service in services}
    wanted: set[str] = set()
    for name in names:
        if name not in by_name:
            raise UserError.unknown("service", name, by_name)
        wanted.update((name, *by_name[name].after))
    return [service for service in services if service.name in wanted]


def with_dependents(services: Sequence[Service], names: Sequence[str]) -> set[str]:
    """The named services and those that need them."""
    unknown = set(names) - {service.name for service in services}
    if unknown:
        raise UserError.unknown("service", min(unknown), [service.name for service in services])
    return set(names) | {service.name for service in services if set(service.after) & set(names)}


def _spark(settings: Settings) -> Service | None:
    """Spark has no process of its own when embedded; somebody else's is shown."""
    master = settings.engines.spark_master
    if master.startswith("local"):
        return None
    return Service(name="spark", address=master, healthy=lambda _since: reachable(master), external=True)
