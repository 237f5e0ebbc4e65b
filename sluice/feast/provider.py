"""Feast's own provider, with rows judged before they are written: Feast asserts, and stores fail, only halfway."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
from feast.infra.passthrough_provider import PassthroughProvider
from feast.on_demand_feature_view import OnDemandFeatureView

from sluice.feast.declared import declared_by
from sluice.feast.plain.pushed import check_pushed, check_times, check_values


class SluiceProvider(PassthroughProvider):  # type: ignore[misc] # feast has no types
    """`provider:` in feature_store.yaml; what is pushed to a plain view enters as a whole, or is refused with why."""

    @staticmethod
    def _prep_rows_to_write_for_ingestion(
        feature_view: Any, df: pd.DataFrame, field_mapping: dict[str, str] | None = None
    ) -> Any:
        if _is_plain(feature_view):
            check_pushed(feature_view, df)
        try:
            # what both ways of pushing, the plain and the awaited one, have in common
            return PassthroughProvider._prep_rows_to_write_for_ingestion(feature_view, df, field_mapping)  # noqa: SLF001
        except Exception:
            # Feast's words name no column; converting each by itself beforehand would take twice the time
            if _is_plain(feature_view):
                check_values(feature_view, df)
            raise

    def ingest_df_to_offline_store(self, feature_view: Any, table: pa.Table) -> None:
        """Add a table to a view's source."""
        if _is_plain(feature_view):
            check_times(feature_view, table)
        super().ingest_df_to_offline_store(feature_view, table)


def _is_plain(view: Any) -> bool:
    """Whether rows of it come from a frame: no view on demand, and nothing that a pipeline declares."""
    return not isinstance(view, OnDemandFeatureView) and declared_by(view) is None and view.batch_source is not None
