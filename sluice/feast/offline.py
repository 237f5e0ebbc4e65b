"""Feast's door to history: values at each row's own moment, by the batch kernel over published history."""

from __future__ import annotations

from typing import Any, Literal, NoReturn

import pandas as pd
from feast.infra.offline_stores.offline_store import OfflineStore, RetrievalJob
from feast.repo_config import FeastConfigBaseModel
from feast.utils import _get_requested_on_demand_feature_views

from sluice.errors import UserError
from sluice.feast.declared import declared_by
from sluice.feast.place import places_of
from sluice.feast.retrieval import Asked, Retrieval, wanted_of

_INSTEAD = "the flow `features` fills the online store; get_historical_features gives the values of any moments"


class SluiceOfflineStoreConfig(FeastConfigBaseModel):  # type: ignore[misc] # feast has no types
    """`offline_store:` in feature_store.yaml; without `lake` it is the settings' (`SLUICE_LAKE`)."""

    type: Literal["sluice.feast.offline.SluiceOfflineStore"] = "sluice.feast.offline.SluiceOfflineStore"
    lake: str | None = None


class SluiceOfflineStore(OfflineStore):  # type: ignore[misc] # feast has no types
    """Answers `get_historical_features` exactly; everything else Feast may ask of an offline store is refused."""

    @staticmethod
    def get_historical_features(
        config: Any,
        feature_views: list[Any],
        feature_refs: list[str],
        entity_df: Any,
        registry: Any,
        project: str,
        full_feature_names: bool = False,
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
        foreign = [view for view in on_demand if declared_by(view) is None]
        lake = config.offline_store.lake or places_of(config).lake_uri
        return Retrieval(Asked(lake, entity_df, wanted, foreign, full_feature_names, feature_refs))

    @staticmethod
    def pull_latest_from_table_or_query(*_: Any, **__: Any) -> NoReturn:
        """Refused: nothing is materialized, the online store follows the stream."""
        raise _refused("pull_latest_from_table_or_query", _INSTEAD)

    @staticmethod
    def pull_all_from_table_or_query(*_: Any, **__: Any) -> NoReturn:
        """Refused: values exist at moments, not as rows of a table; `materialize` ends here too."""
        raise _refused("pull_all_from_table_or_query", _INSTEAD)

    @staticmethod
    def write_logged_features(*_: Any, **__: Any) -> NoReturn:
        """Refused: served vectors have a log of their own."""
        raise _refused("write_logged_features", "read the lake's table `predictions`, the log of every served vector")

    @staticmethod
    def offline_write_batch(*_: Any, **__: Any) -> NoReturn:
        """Refused: history has one writer, the ingest job."""
        raise _refused("offline_write_batch", "land the events as a batch of files and run the flow `ingest`")


def _refused(what: str, next_step: str) -> UserError:
    return UserError("this store does not do that", where=f"SluiceOfflineStore.{what}", next_step=next_step)
