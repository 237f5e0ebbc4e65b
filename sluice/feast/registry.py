"""Feast's registry below `SLUICE_HOME`, and how a pipeline gets into it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from feast import Entity, FeatureStore, RepoConfig
from feast.infra.registry.file import FileRegistryStore

from sluice.declare.pipeline import Pipeline
from sluice.errors import UserError
from sluice.feast.declared import declared_by
from sluice.feast.objects import feast_objects, place, with_sources
from sluice.feast.place import places_beside
from sluice.settings import settings

PROJECT = "sluice"
_FILE = ("feast", "registry.db")


class SluiceRegistryStore(FileRegistryStore):  # type: ignore[misc] # feast has no types
    """A registry file whose relative path lies below `SLUICE_HOME`; replaced whole, so nobody reads half of it."""

    def __init__(self, registry_config: Any, repo_path: Path) -> None:
        super().__init__(registry_config, repo_path)
        if not Path(registry_config.path).is_absolute():
            self._filepath = places_beside(repo_path).at(registry_config.path)

    def _write_registry(self, registry_proto: Any) -> None:
        final = self._filepath
        final.parent.mkdir(parents=True, exist_ok=True)
        self._filepath = final.with_name(f"{final.name}.new")
        try:
            super()._write_registry(registry_proto)
            self._filepath.replace(final)
        finally:
            self._filepath = final


def feature_store() -> FeatureStore:
    """A stock Feast SDK over the registry, the online store and the lake that the settings name."""
    config = RepoConfig(
        project=PROJECT,
        provider="sluice.feast.provider.SluiceProvider",
        registry={
            "registry_store_type": f"{__name__}.{SluiceRegistryStore.__name__}",
            "path": str(settings().places.at(*_FILE)),
            "cache_ttl_seconds": 60,
            "enable_online_feature_view_versioning": True,
        },
        online_store={"type": "sluice.feast.online.SluiceOnlineStore"},
        offline_store={"type": "sluice.feast.offline.SluiceOfflineStore"},
        batch_engine={"type": "sluice.feast.engine.SluiceComputeEngine"},
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=config)


def apply(pipeline: Pipeline) -> FeatureStore:
    """Bring the registry up to a pipeline's declaration; views that it no longer declares go, other pipelines stay."""
    store = feature_store()
    objects = feast_objects(pipeline)
    held = _held(store)
    _check_names(pipeline, objects, held)
    names = {place(item) for item in with_sources(objects)}
    stale = [item for item in held if _owner(item) == pipeline.name and place(item) not in names]
    with warnings.catch_warnings():
        # Feast warns that on-demand views are slow in history; ours are computed there by the batch kernel
        warnings.filterwarnings("ignore", "On demand feature view", RuntimeWarning)
        store.apply(objects, objects_to_delete=stale, partial=not stale)
    return store


def _held(store: FeatureStore) -> list[Any]:
    """What the registry holds and tells whose it is."""
    views = [*store.list_feature_views(), *store.list_on_demand_feature_views()]
    return [*views, *store.list_feature_services(), *store.list_data_sources()]


def _owner(item: Any) -> str | None:
    made_from = declared_by(item)
    return None if made_from is None else made_from.pipeline


def _check_names(pipeline: Pipeline, objects: list[Any], held: list[Any]) -> None:
    names = {place(item) for item in with_sources(objects)}
    keys = {item.name: item.value_type for item in objects if isinstance(item, Entity)}
    for item in held:
        if _owner(item) == pipeline.name:
            continue
        columns = getattr(item, "entity_columns", [])
        taken = place(item) in names
        if taken or any(
            keys.get(column.name, column.dtype.to_value_type()) != column.dtype.to_value_type() for column in columns
        ):
            raise UserError(
                f"{item.name!r} in Feast's registry belongs to {_owner(item) or 'somebody else'!r}",
                where=f"pipeline {pipeline.name!r}",
                next_step="rename one: pipelines share the names of one Feast project",
            )
