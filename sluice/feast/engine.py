"""Feast's `materialize`: plain views' newest rows into the online store; declared views are there already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import pyarrow as pa
from feast import FeatureView
from feast.feature_view import DUMMY_ENTITY_ID
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.repo_config import FeastConfigBaseModel
from feast.type_map import python_values_to_proto_values

from sluice.clock import to_datetime
from sluice.feast.declared import declared_by
from sluice.feast.plain.online import Written
from sluice.feast.plain.sources import columns_of, instants, renamed

_AT_ONCE = 10_000
"""Rows that are written together unless `online_write_batch_size` says otherwise."""


class SluiceComputeEngineConfig(FeastConfigBaseModel):  # type: ignore[misc] # feast has no types
    """`batch_engine:` in feature_store.yaml."""

    type: Literal["sluice.feast.engine.SluiceComputeEngine"] = "sluice.feast.engine.SluiceComputeEngine"


class SluiceComputeEngine(LocalComputeEngine):  # type: ignore[misc] # feast has no types
    """Fills the online store from plain views' sources, each entity's newest row, a batch at a time.

    Of all views of a repository the declared ones are passed over, since the stream keeps them; asked for alone they
    are refused. A view with a transformation or an aggregation goes Feast's own way.
    """

    @property
    def supports_batch(self) -> bool:
        """All views of a call come together, so that declared ones can be told from asked-for ones."""
        return True

    def materialize(self, registry: Any, tasks: Any, **named: Any) -> list[Any]:
        """One job for each task."""
        listed: Sequence[MaterializationTask] = [tasks] if isinstance(tasks, MaterializationTask) else tasks
        plain = any(declared_by(task.feature_view) is None for task in listed)
        return [
            _done(task)
            if plain and declared_by(task.feature_view) is not None
            else self._materialize_one(registry, task, **named)
            for task in listed
        ]

    def _materialize_one(self, registry: Any, task: MaterializationTask, **named: Any) -> Any:
        if not _is_simple(task.feature_view):
            return super()._materialize_one(registry, task, **named)
        try:
            self._load(task, _as_asked(registry, task))
        except Exception as error:  # noqa: BLE001 Feast raises what a job carries, and puts the view's state back
            return LocalMaterializationJob(_name(task), MaterializationJobStatus.ERROR, error)
        return _done(task)

    def _load(self, task: MaterializationTask, view: Any) -> None:
        columns = columns_of(view, [feature.name for feature in view.features])
        pulled = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=view.batch_source,
            join_key_columns=list(columns.keys),
            feature_name_columns=list(columns.features),
            timestamp_field=columns.time,
            created_timestamp_column=columns.created,
            start_date=task.start_time,
            end_date=task.end_time,
        )
        size = self.repo_config.materialization_config.online_write_batch_size or _AT_ONCE
        table = renamed(pulled.to_arrow(), view.batch_source.field_mapping or {})
        for start in range(0, len(table), size):
            self.online_store.online_write_batch(self.repo_config, view, written(view, table.slice(start, size)), None)


def written(view: Any, table: pa.Table) -> list[Written]:
    """Rows of a source as Feast writes them, whole numbers beside nulls as exact as they are in the source."""
    keys = [column for column in view.entity_columns if column.name != DUMMY_ENTITY_ID]
    values = {
        field.name: python_values_to_proto_values(
            table.column(field.name).to_pylist(maps_as_pydicts="strict"), field.dtype.to_value_type()
        )
        for field in [*keys, *view.features]
    }
    source = view.batch_source
    times, _ = instants(table.column(source.timestamp_field), where=source.name)
    created: list[int | None] = [None] * len(table)
    if source.created_timestamp_column:
        stamps, known = instants(table.column(source.created_timestamp_column), where=source.name)
        created = [int(stamp) if one else None for stamp, one in zip(stamps, known, strict=True)]
    return [
        (
            EntityKey(join_keys=[key.name for key in keys], entity_values=[values[key.name][row] for key in keys]),
            {feature.name: values[feature.name][row] for feature in view.features},
            to_datetime(int(times[row])),
            None if (stamp := created[row]) is None else to_datetime(stamp),
        )
        for row in range(len(table))
    ]


def _as_asked(registry: Any, task: MaterializationTask) -> Any:
    """The task's view; one of another version than Feast serves by the view's name is marked as that version."""
    view: Any = task.feature_view
    served = registry.get_any_feature_view(view.name, task.project)
    if (view.current_version_number or 0) != (served.current_version_number or 0):
        view.projection.version_tag = view.current_version_number
    return view


def _is_simple(view: Any) -> bool:
    """Whether a view's features are columns of its source."""
    computed = getattr(view, "feature_transformation", None) or getattr(view, "aggregations", None)
    return isinstance(view, FeatureView) and not computed and not getattr(view, "source_views", None)


def _done(task: MaterializationTask) -> Any:
    return LocalMaterializationJob(_name(task), MaterializationJobStatus.SUCCEEDED)


def _name(task: MaterializationTask) -> str:
    return f"{task.feature_view.name}-{task.start_time}-{task.end_time}"
