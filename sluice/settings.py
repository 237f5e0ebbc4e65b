"""Where the parts are: one frozen, typed object per area, read once from the environment.

A part that is not named runs embedded, on loopback, with its state under `SLUICE_HOME`; naming an external one
(`SLUICE_KAFKA_BOOTSTRAP=broker:9092`) changes nothing else. Unknown `SLUICE_` names are refused, secrets are masked.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sluice.errors import SettingsError

_TEST_ONLY = frozenset({"SLUICE_HANDBOOK_DIR", "SLUICE_TEST_SEED"})


class _Area(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="SLUICE_", frozen=True, extra="ignore", populate_by_name=True)


class Places(_Area):
    """Where state lives; every place that stores something is a URI or a folder below `home`."""

    home: Path = Path(".sluice")
    lake: str | None = Field(default=None, description="URI of the lake; the folder `lake` below `home` by default")
    online: str | None = Field(
        default=None, description="`redis`, or the URI of the online store; SQLite below `home` by default"
    )
    clock: str = Field(default="wall", description="`wall` or file:///path of the shared event clock")
    cache: Path | None = Field(default=None, description="folder of what is fetched once per person, such as jars")
    erasure_key: SecretStr | None = Field(
        default=None, description="by which forgotten entities are known again; a file below `home` by default"
    )
    jar_repository: str | None = Field(default=None, description="URL of a Maven repository instead of Maven Central")

    def at(self, *parts: str) -> Path:
        """An absolute path below `home`."""
        return self.home.absolute().joinpath(*parts)

    @property
    def cache_folder(self) -> Path:
        """Where fetched files are kept for every project of this person; follows the XDG base directories."""
        xdg = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return (self.cache or xdg / "sluice").absolute()

    @property
    def lake_uri(self) -> str:
        """The lake's URI, always with a scheme or an absolute path."""
        return self.lake or str(self.at("lake"))


class Engines(_Area):
    """Addresses of external engines; None means the embedded one."""

    kafka_bootstrap: str | None = None
    spark_master: str = "local[2]"
    redis_url: SecretStr | None = Field(default=None, description="the Redis that `SLUICE_ONLINE=redis` means")
    ray_address: str | None = None
    detector: Literal["alibi", "twin"] = Field(
        default="alibi", description="`alibi` (alibi-detect) or `twin` (scipy; no licence terms)"
    )
    schema_registry_url: SecretStr | None = Field(
        default=None, description="the registry of Avro and Protobuf topics, with Confluent's REST interface"
    )
    serve_url: str | None = Field(default=None, description="base URL of the scoring service on an external Ray")
    openlineage_url: str | None = Field(
        default=None, description="where runs are told of as OpenLineage events; a file below `home` by default"
    )
    openlineage_key: SecretStr | None = Field(default=None, description="the API key for that address")
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")


class Warehouse(_Area):
    """The warehouse that streams are imported from, and that features and predictions are exported to; none is ours."""

    model_config = SettingsConfigDict(env_prefix="SLUICE_WAREHOUSE_")

    url: SecretStr | None = Field(default=None, description="JDBC URL, such as jdbc:postgresql://host:5432/database")
    user: str | None = None
    password: SecretStr | None = None
    options: SecretStr | None = Field(default=None, description="JSON object of more options for Spark's JDBC source")
    jars: str | None = Field(default=None, description="paths of the driver's jars, with commas; Postgres' by default")

    def address(self) -> str:
        """The URL, which may hold a password; SettingsError while no warehouse is named."""
        if self.url is None:
            raise SettingsError(
                "no warehouse is named",
                where="SLUICE_WAREHOUSE_URL",
                allowed="a JDBC URL, such as jdbc:postgresql://host:5432/database",
                next_step="export it, and SLUICE_WAREHOUSE_USER and SLUICE_WAREHOUSE_PASSWORD",
            )
        return self.url.get_secret_value()


class Ports(_Area):
    """Loopback ports of the embedded services."""

    kafka_port: int = Field(default=19092, ge=1024, le=65535)
    kafka_controller_port: int = Field(default=19093, ge=1024, le=65535)
    prefect_port: int = Field(default=14200, ge=1024, le=65535)
    ray_port: int = Field(default=16379, ge=1024, le=65535)
    ray_client_port: int = Field(default=16380, ge=1024, le=65535)
    ray_dashboard_port: int = Field(default=18265, ge=1024, le=65535)
    serve_port: int = Field(default=18000, ge=1024, le=65535)
    serve_stats_port: int = Field(default=18404, ge=1024, le=65535)
    serve_metrics_port: int = Field(default=19101, ge=1024, le=65535)
    serve_fallback_port: int = Field(default=18500, ge=1024, le=65535)
    redis_port: int = Field(default=16390, ge=1024, le=65535)


class Sizes(_Area):
    """How large the embedded services and the jobs are."""

    kafka_heap_mb: int = Field(default=512, ge=128)
    ray_cpus: int = Field(default=4, ge=1, description="logical CPUs that Ray hands out, not cores")
    ray_object_store_mb: int = Field(default=300, ge=80)
    spark_driver_memory: str = Field(default="3g", pattern=r"^\d+[mg]$", description="heap of a Spark driver")
    spark_least_rows: int = Field(
        default=250_000, ge=0, description="rows below which a job works in its own process, and starts no Spark"
    )
    ray_dashboard: bool = Field(default=False, description="Ray's dashboard, its job and Serve REST interfaces; 250 MB")


@dataclass(frozen=True)
class Settings:
    """Every area together; `kafka`, `redis`, `ray` and the like answer with the external or the embedded one."""

    places: Places = field(default_factory=Places)
    engines: Engines = field(default_factory=Engines)
    ports: Ports = field(default_factory=Ports)
    sizes: Sizes = field(default_factory=Sizes)
    warehouse: Warehouse = field(default_factory=Warehouse)

    @property
    def kafka(self) -> str:
        """Bootstrap address of the Kafka in use."""
        return self.engines.kafka_bootstrap or f"127.0.0.1:{self.ports.kafka_port}"

    @property
    def prefect_api(self) -> str:
        """API URL of the Prefect server in use."""
        return self.engines.prefect_api_url or f"http://127.0.0.1:{self.ports.prefect_port}/api"

    @property
    def mlflow(self) -> str:
        """Tracking URI of the MLflow in use."""
        return self.engines.mlflow_tracking_uri or f"sqlite:///{self.places.at('mlflow.db')}"

    @property
    def ray(self) -> str:
        """Address of the Ray head in use (GCS address)."""
        return self.engines.ray_address or f"127.0.0.1:{self.ports.ray_port}"

    @property
    def redis(self) -> str:
        """URL of the Redis in use, which may hold a password; nothing runs there unless the online store is in it."""
        named = self.engines.redis_url.get_secret_value() if self.engines.redis_url else None
        return named or f"redis://127.0.0.1:{self.ports.redis_port}/0"

    @property
    def schema_registry(self) -> str | None:
        """URL of the schema registry, which may hold a password; None where nobody named one."""
        return self.engines.schema_registry_url.get_secret_value() if self.engines.schema_registry_url else None

    @property
    def online_uri(self) -> str:
        """The online store's URI: `sqlite:///<folder>` or `redis://host:port/database`, which may hold a password."""
        if self.places.online == "redis":
            return self.redis
        return self.places.online or f"sqlite:///{self.places.at('online')}"

    @property
    def serve_url(self) -> str:
        """Base URL of the scoring service."""
        return self.engines.serve_url or f"http://127.0.0.1:{self.ports.serve_port}"


@functools.cache
def settings() -> Settings:
    """The settings of this process, read once; SettingsError names an unknown or impossible one."""
    _refuse_unknown()
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        variable = name if name.isupper() else f"SLUICE_{name.upper()}"
        raise SettingsError(f"{first['msg']} (it is {first['input']!r})", where=variable) from None


AREAS: tuple[type[BaseSettings], ...] = (Places, Engines, Ports, Sizes, Warehouse)


def known_variables() -> list[str]:
    """Every environment variable that is read, sorted."""
    names: set[str] = set()
    for area in AREAS:
        names.update(variable(area, name) for name in area.model_fields)
    return sorted(names)


def variable(area: type[BaseSettings], name: str) -> str:
    """The environment variable that a field of an area is read from."""
    alias = area.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{area.model_config['env_prefix']}{name.upper()}"


def _refuse_unknown() -> None:
    known = set(known_variables()) | _TEST_ONLY
    for name in os.environ:
        if name.startswith("SLUICE_") and name not in known:
            raise SettingsError.unknown("setting", name, known, where="environment")
