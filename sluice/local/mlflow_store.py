"""MLflow without a server: a SQLite file with its schema made once, by one process, before anybody uses it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sluice.local.environment import artifact_root, embedded_mlflow, engine_environment, is_embedded
from sluice.local.health import reachable, sqlite_has
from sluice.local.service import Service
from sluice.settings import Settings, settings


def mlflow_store(settings: Settings) -> Service:
    """The embedded store, or the external one that `MLFLOW_TRACKING_URI` names."""
    embedded = is_embedded(settings.engines.mlflow_tracking_uri, embedded_mlflow(settings))
    file = settings.places.at("mlflow.db")
    return Service(
        name="mlflow",
        address=settings.mlflow,
        healthy=lambda _since: _is_made(file) if embedded else reachable(settings.mlflow),
        command=lambda: [sys.executable, "-m", "sluice.local.mlflow_store"],
        environment=engine_environment(settings),
        stays=False,
        external=not embedded,
    )


def make(file: Path, artifacts: Path) -> None:
    """Make the store beside its place and move it there whole: first use by two processes at once breaks MLflow's."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    unfinished = file.with_name(f"{file.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    store = SqlAlchemyStore(f"sqlite:///{unfinished}", artifacts.as_uri())
    store.engine.dispose()
    unfinished.replace(file)


def _is_made(file: Path) -> bool:
    return sqlite_has(file, "SELECT 1 FROM experiments JOIN alembic_version")


if __name__ == "__main__":
    here = settings()
    make(here.places.at("mlflow.db"), artifact_root(here))
