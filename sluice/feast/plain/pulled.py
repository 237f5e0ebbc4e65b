"""What Feast pulls from a plain view's source to fill the online store, and what it saved of retrievals and answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
from feast.infra.offline_stores.offline_store import RetrievalJob

from sluice.clock import from_datetime
from sluice.feast.plain.history import latest
from sluice.feast.plain.sources import Columns, open_source, scan
from sluice.feast.plain.writing import save


class Pulled(RetrievalJob):  # type: ignore[misc] # feast has no types
    """Rows of a source, read when they are asked for."""

    def __init__(self, read: Callable[[], pa.Table], repository: Path | None) -> None:
        self._read, self._repository = read, repository

    @property
    def full_feature_names(self) -> bool:
        """The source's own names."""
        return False

    @property
    def on_demand_feature_views(self) -> list[Any]:
        """None: these are rows of a source."""
        return []

    @property
    def metadata(self) -> None:
        """None: nothing was asked for by reference."""
        return

    def persist(self, storage: Any, allow_overwrite: bool = False, timeout: int | None = None) -> None:  # noqa: ARG002
        """Write the rows where a saved dataset is to be."""
        save(self.to_arrow(), storage, self._repository, replace=allow_overwrite)

    def _to_arrow_internal(self, **_: Any) -> pa.Table:
        return self._read()

    def _to_df_internal(self, **_: Any) -> pd.DataFrame:
        frame: pd.DataFrame = self._read().to_pandas()
        return frame


def pull(
    config: Any,
    source: Any,
    columns: Columns,
    *,
    first: dt.datetime | None,
    last: dt.datetime | None,
    newest: bool,
) -> Pulled:
    """The rows of a source with an event time in a range, both ends included; of each entity only the newest, or all.

    Without features every column is read, since a transformation may use any.
    """
    low, high = (None if end is None else from_datetime(end) for end in (first, last))

    def read() -> pa.Table:
        dataset = open_source(source, config.repo_path)
        schema = dataset.schema
        wanted = columns if columns.features else _every(columns, schema)
        found = scan(dataset, wanted, first=low, last=high, where=source.name)
        none = schema.empty_table().select(wanted.all())
        if newest:
            table = latest(found, wanted, source.name)
            return none if table is None else table
        # one chunk, because Feast takes the first batch of a table for the whole of it
        return pa.concat_tables([none, *found]).combine_chunks()

    return Pulled(read, config.repo_path)


def _every(columns: Columns, schema: pa.Schema) -> Columns:
    known = {*columns.keys, columns.time, columns.created}
    rest = [name for name in schema.names if name not in known]
    return Columns(columns.keys, rest, columns.time, columns.created)
