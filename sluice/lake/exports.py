"""What of a table goes out to a warehouse: the files of a version, or those that the warehouse does not have yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError

from sluice.errors import DataError, UserError
from sluice.lake.tables import Lake

TABLES = {
    "vectors": "run the flow `features`",
    "vectors_as_served": 'declare Training(knowledge="as_served"), and run the flow `features`',
    "predictions": "run `sluice stream archive` beside the service",
}
"""Features and predictions, and what writes them; whatever else there is came from a source, or is Sluice's own."""
TIMES = ("event_time", "answered")
"""Columns of microseconds, which are times outside."""
_TIME = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Outgoing:
    """Rows of one version of a table, in the files that hold them."""

    lake: str
    pipeline: str
    table: str
    version: int
    identity: str
    """Which table it is, also when another one lies at the same place later."""
    files: tuple[str, ...]
    rows: int
    replaces: bool
    """Whether they take the place of all that was sent before, or come beside it."""

    def schema(self) -> pa.Schema:
        """The columns as they go out."""
        return _told(self._dataset().schema.empty_table()).schema

    def read(self, part: int, parts: int) -> Iterator[pa.RecordBatch]:
        """The rows of every so many-th file, a few at a time."""
        dataset, wanted = self._dataset(), set(self.files[part::parts])
        for fragment in dataset.get_fragments():
            if fragment.path in wanted:
                for batch in fragment.to_batches(schema=dataset.schema):
                    yield from _told(pa.table(batch)).to_batches()

    def _dataset(self) -> ds.Dataset:
        lake = Lake(self.lake, self.pipeline)
        found = lake.open(self.table, self.version)
        assert found is not None  # noqa: S101 an outgoing table was open when it was made
        return lake.dataset(found)


def outgoing(lake_uri: str, pipeline: str, table: str, version: int | None, sent: tuple[str, int] | None) -> Outgoing:
    """What goes out for a version of a table, the newest one by default; `sent` is the identity and version before it.

    Where the table has only grown since, that is what is new. UserError for a table that is none of those, DataError
    while nobody has written it.
    """
    lake = Lake(lake_uri, pipeline)
    found = exported(lake, table, version)
    identity, files = str(found.metadata().id), _files(lake, found)
    before = None if sent is None or sent[0] != identity else _before(lake, table, sent[1])
    grows = before is not None and before <= set(files)
    chosen = tuple(sorted(set(files) - (before or set()) if grows else files))
    rows = sum(files[path] for path in chosen)
    return Outgoing(lake_uri, pipeline, table, int(found.version()), identity, chosen, rows, not grows)


def exported(lake: Lake, table: str, version: int | None) -> deltalake.DeltaTable:
    """A table that goes out; UserError for one that does not, DataError while nobody has written it."""
    if table not in TABLES:
        raise UserError.unknown("table", table, TABLES, where="warehouse export")
    try:
        found = lake.open(table, version)
    except DeltaError as error:
        raise UserError(f"there is no version {version} of {table!r}", where=lake.root) from error
    if found is None:
        raise DataError(f"there is no table {table!r}", where=lake.root, next_step=TABLES[table])
    return found


def _before(lake: Lake, table: str, version: int) -> set[str] | None:
    """The files of an earlier version; None for one that the log does not have any more."""
    try:
        found = lake.open(table, version)
    except DeltaError:
        return None
    return None if found is None else set(_files(lake, found))


def _files(lake: Lake, found: deltalake.DeltaTable) -> dict[str, int]:
    """The files of a table, and how many rows each has."""
    return {fragment.path: int(fragment.count_rows()) for fragment in lake.dataset(found).get_fragments()}


def _told(rows: pa.Table) -> pa.Table:
    """Rows with times for microseconds."""
    for index, name in enumerate(rows.column_names):
        if name in TIMES:
            rows = rows.set_column(index, name, rows.column(name).cast(_TIME))
    return rows
