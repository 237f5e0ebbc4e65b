"""Feast's door to history: declared views by the batch kernel over published history, plain ones from their sources."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _get_requested_on_demand_feature_views

from sluice.errors import UserError
from sluice.feast.declared import declared_by
from sluice.feast.place import places_of
from sluice.feast.plain.pulled import Pulled, pull
from sluice.feast.plain.sources import Columns, described, open_source
from sluice.feast.plain.writing import add_rows, log
from sluice.feast.retrieval import Asked, Retrieval, wanted_of
from sluice.feast.source import SilverSource

_INSTEAD = "the flow `features` fills the online store; get_historical_features gives the values of any moments"


class SluiceOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc] # feast has no types
    """`offline_store:` in feature_store.yaml; without `lake` it is the settings' (`SLUICE_LAKE`)."""

    type: Literal["sluice.feast.offline.SluiceOfflineStore"] = "sluice.feast.offline.SluiceOfflineStore"
    lake: str | None = None


class SluiceOfflineStore(OfflineStore):  # type: ignore[misc] # feast has no types
    """Answers `get_historical_features` exactly, for declared and plain views in one call.

    Plain views are pulled, written and saved as in any offline store; what would write to a declared one is refused.
    """

    supports_filter_by_created_timestamp = True

    @staticmethod
    def get_historical_features(
        config: Any,
        feature_views: list[Any],
        feature_refs: list[str],
        entity_df: Any,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **_: Any,
    ) -> RetrievalJob:
        """A job whose rows are the entity frame's, in their order, with the features at each row's event timestamp."""
        if not isinstance(entity_df, pd.DataFrame):
            given = "a date range" if entity_df is None else "a query"
            raise UserError(
                f"history is not read by {given}",
                where="get_historical_features",
                allowed="entity_df=<pandas frame with the entity keys and event_timestamp>",
            )
        on_demand = _get_requested_on_demand_feature_views(feature_refs, project, registry)
        wanted = wanted_of(feature_views, on_demand, feature_refs, full=full_feature_names)
        ours = [item.made_from for item in wanted if item.made_from is not None]
        if filter_by_created_timestamp and ours:
            raise UserError(
                f"view {ours[0].view!r} knows no creation: labels count from the moment they are known anyway",
                where="filter_by_created_timestamp",
                next_step="ask the plain views alone",
            )
        foreign = [view for view in on_demand if declared_by(view) is None]
        lake = config.offline_store.lake or places_of(config).lake_uri
        return Retrieval(
            Asked(
                lake,
                entity_df,
                wanted,
                foreign,
                full_feature_names,
                feature_refs,
                repository=config.repo_path,
                known_only=filter_by_created_timestamp,
            )
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: Any,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None,
        start_date: dt.datetime,
        end_date: dt.datetime,
    ) -> Pulled:
        """Of each entity the newest row in the range, both ends included; refused for the source of a declared view."""
        _refuse_ours(data_source, "pull_latest_from_table_or_query", _INSTEAD)
        columns = Columns(join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column or None)
        return pull(config, data_source, columns, first=start_date, last=end_date, newest=True)

    @staticmethod
    def pull_all_from_table_or_query(
        config: Any,
        data_source: Any,
        join_key_columns: list[str],
        feature_name_columns: list[str],
        timestamp_field: str,
        created_timestamp_column: str | None = None,
        start_date: dt.datetime | None = None,
        end_date: dt.datetime | None = None,
    ) -> Pulled:
        """Every row in the range, both ends included; refused for the source of a declared view."""
        _refuse_ours(data_source, "pull_all_from_table_or_query", _INSTEAD)
        columns = Columns(join_key_columns, feature_name_columns, timestamp_field, created_timestamp_column or None)
        return pull(config, data_source, columns, first=start_date, last=end_date, newest=False)

    @staticmethod
    def write_logged_features(
        config: Any,
        data: pa.Table | Path,
        source: Any,  # noqa: ARG004
        logging_config: Any,
        registry: Any,  # noqa: ARG004
    ) -> None:
        """Add logged answers to the files of their destination."""
        log(data, logging_config.destination, config.repo_path)

    @staticmethod
    def offline_write_batch(config: Any, feature_view: Any, table: pa.Table, progress: Any) -> None:
        """Append rows to a plain view's source; refused for a declared one, whose history has one writer."""
        if declared_by(feature_view) is not None:
            raise _refused("offline_write_batch", "land the events as a batch of files and run the flow `ingest`")
        add_rows(feature_view.batch_source, table, config.repo_path)
        if progress is not None:
            progress(len(table))

    def get_table_column_names_and_types_from_data_source(self, config: Any, data_source: Any) -> Any:
        """The columns of a source, from which Feast infers a view's schema; relative paths are below the repository."""
        if isinstance(data_source, SilverSource):
            return data_source.get_table_column_names_and_types(config)
        return described(open_source(data_source, config.repo_path).schema)


def _refuse_ours(source: Any, what: str, next_step: str) -> None:
    if isinstance(source, SilverSource):
        raise _refused(what, next_step)


def _refused(what: str, next_step: str) -> UserError:
    return UserError(
        "this store does not do that for a declared view", where=f"SluiceOfflineStore.{what}", next_step=next_step
    )
