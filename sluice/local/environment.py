"""What every process that touches an engine has to find in its environment: addresses, places, and quiet."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings

from sluice.settings import Settings, variable

QUIET = {
    "DO_NOT_TRACK": "1",
    "FEAST_USAGE": "False",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
"""No telemetry, and no engine talks unless something is wrong."""


def engine_environment(settings: Settings) -> dict[str, str]:
    """The variables for flows, Spark jobs, Ray drivers and services, to be laid over the present environment.

    Places are absolute, so that a process in another folder finds the same ones. Ray reads its variables when it is
    first imported.
    """
    return {
        **QUIET,
        **_own(settings),
        "PREFECT_API_URL": settings.prefect_api,
        "MLFLOW_TRACKING_URI": settings.mlflow,
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        **_prefect(settings),
        **_mlflow(settings),
        **_spark(settings),
        **_ray(settings),
    }


def apply_environment(settings: Settings) -> None:
    """Give this very process the engines' environment; call it before an engine is imported."""
    os.environ.update(engine_environment(settings))


def is_embedded(configured: str | None, embedded: str) -> bool:
    """Whether an address means our own service: none was named, or the one named is ours (as in our children)."""
    return configured is None or configured.rstrip("/") == embedded.rstrip("/")


def embedded_prefect_api(settings: Settings) -> str:
    """Where the embedded Prefect server answers."""
    return f"http://127.0.0.1:{settings.ports.prefect_port}/api"


def embedded_mlflow(settings: Settings) -> str:
    """The embedded MLflow's SQLite file, as MLflow writes it."""
    return f"sqlite:///{settings.places.at('mlflow.db')}"


def embedded_ray(settings: Settings) -> str:
    """Where the embedded Ray head answers."""
    return f"127.0.0.1:{settings.ports.ray_port}"


def artifact_root(settings: Settings) -> Path:
    """Where the embedded MLflow keeps models and other artifacts."""
    return settings.places.at("mlartifacts")


def ray_alias(settings: Settings) -> Path:
    """A short name for the home's folder `ray`: HAProxy allows 97 characters for a socket, Ray's own parts take 77."""
    digest = hashlib.sha256(str(settings.places.home.absolute()).encode()).hexdigest()[:8]
    return Path("/tmp") / f"sluice-{digest}"  # noqa: S108  a link of ours, checked before use; TMPDIR may be long


def _own(settings: Settings) -> dict[str, str]:
    """Our own settings as variables, so that a child reads what this process read."""
    given: dict[str, str] = {}
    areas: tuple[BaseSettings, ...] = (
        settings.places,
        settings.engines,
        settings.ports,
        settings.sizes,
        settings.warehouse,
    )
    for area in areas:
        for name in type(area).model_fields:
            value = getattr(area, name)
            if value is not None:
                given[variable(type(area), name)] = _text(value)
    return {**given, "SLUICE_HOME": str(settings.places.home.absolute())}


def _text(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _prefect(settings: Settings) -> dict[str, str]:
    if not is_embedded(settings.engines.prefect_api_url, embedded_prefect_api(settings)):
        return {}
    return {
        "PREFECT_HOME": str(settings.places.at("prefect")),
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }


def _mlflow(settings: Settings) -> dict[str, str]:
    """Without a server MLflow would put artifacts below the folder a process happens to run in."""
    if not is_embedded(settings.engines.mlflow_tracking_uri, embedded_mlflow(settings)):
        return {}
    return {"_MLFLOW_SERVER_ARTIFACT_ROOT": artifact_root(settings).as_uri()}


def _spark(settings: Settings) -> dict[str, str]:
    return {"SPARK_LOCAL_IP": "127.0.0.1"} if settings.engines.spark_master.startswith("local") else {}


def _ray(settings: Settings) -> dict[str, str]:
    if not is_embedded(settings.engines.ray_address, embedded_ray(settings)):
        return {"RAY_ADDRESS": settings.ray}
    ports, haproxy = settings.ports, ray_alias(settings) / "ha"
    return {
        "RAY_ADDRESS": settings.ray,
        "RAY_AUTH_MODE": "disabled",
        # Ray replaces 127.0.0.1 by the machine's outer address unless told, in these words, that it is no cluster.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_prestart_worker_first_driver": "0",
        "DASHBOARD_METRIC_PORT": "0",
        # Replicas get this long to end in good order; the proxy never drains, so Ray always takes all of it.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "4",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(settings.places.at("ray", "ha", "haproxy")),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(haproxy / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(haproxy / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(haproxy / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(haproxy),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(haproxy / "server-state"),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.serve_stats_port),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.serve_metrics_port),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.serve_fallback_port),
    }
