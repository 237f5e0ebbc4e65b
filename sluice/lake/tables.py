"""One pipeline's tables in the lake: where they are, how to read what is published, how to append once.

    events/<stream>      bronze: the raw payload and its source position, append-only
    silver/<stream>      typed rows that passed the contract, every version of an event
    quarantine/<stream>  refused rows with rule and value         late/<stream>  rows that came late
    verdicts             what the gates found of every batch      batches        the batches that readers may see
    vectors, tiles/<view>, training_sets, predictions, audits, drift, performance, decisions, promotions

Every reader goes through `Lake.read`: rows of a batch are there when the batch's row in `batches` is, and not before.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from deltalake.exceptions import TableNotFoundError

from sluice.errors import DataError

BATCHED = ("silver/", "quarantine/", "late/")
"""Tables whose rows belong to a batch and are visible with it."""


_STREAMED = pc.starts_with(ds.field("_source"), "kafka:")


class Lake:
    """The tables of one pipeline below a URI; any Delta reader reads the same files."""

    def __init__(self, uri: str, pipeline: str) -> None:
        self.root = f"{uri.rstrip('/')}/{pipeline}"
        self.pipeline = pipeline

    def uri(self, table: str) -> str:
        """Where a table is."""
        return f"{self.root}/{table}"

    def open(self, table: str, version: int | None = None) -> deltalake.DeltaTable | None:
        """The Delta table, or None while nobody has written it."""
        try:
            return deltalake.DeltaTable(self.uri(table), version=version)
        except TableNotFoundError:
            return None

    def version(self, table: str) -> int:
        """The table's newest version; -1 while there is none."""
        found = self.open(table)
        return -1 if found is None else int(found.version())

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str] | None = None,
        where: ds.Expression | None = None,
        version: int | None = None,
    ) -> pa.Table:
        """The published rows of a table; DataError when nobody has written it."""
        found = self.open(table, version)
        if found is None:
            raise DataError(
                f"there is no table {table!r}", where=self.root, next_step="run the step that writes it first"
            )
        condition = _both(where, self._published(table))
        return pa.table(found.to_pyarrow_dataset().to_table(columns=columns, filter=condition))

    def rows(self, table: str, *, where: ds.Expression | None = None) -> list[dict[str, Any]]:
        """The published rows of a small table as dictionaries; none when nobody has written it."""
        return [] if self.open(table) is None else self.read(table, where=where).to_pylist()

    def append(self, table: str, rows: pa.Table, *, once: str | None = None) -> bool:
        """Append rows in one commit; with `once`, only if no commit carries that marker yet. Whether it was written."""
        found = self.open(table)
        if once is not None and found is not None and found.transaction_version(once) is not None:
            return False
        marks = [deltalake.Transaction(once, 1, _now_ms())] if once is not None else None
        deltalake.write_deltalake(
            self.uri(table),
            rows,
            mode="append",
            schema_mode="merge" if found is not None else None,
            commit_properties=deltalake.CommitProperties(app_transactions=marks) if marks else None,
        )
        return True

    def append_rows(
        self, table: str, rows: Iterable[Mapping[str, Any]], schema: pa.Schema, *, once: str | None = None
    ) -> bool:
        """Append dictionaries; nothing is written when there are none."""
        listed = list(rows)
        return bool(listed) and self.append(table, pa.Table.from_pylist(listed, schema=schema), once=once)

    def append_reaching(self, table: str, rows: pa.Table, application: str, reached: int) -> None:
        """Append rows in one commit that also says how far `application` has come."""
        found = self.open(table)
        mark = deltalake.Transaction(application, reached, _now_ms())
        deltalake.write_deltalake(
            found if found is not None else self.uri(table),
            rows,
            mode="append",
            commit_properties=deltalake.CommitProperties(app_transactions=[mark]),
        )

    def reached_by(self, table: str, application: str) -> int | None:
        """How far an application has come in a table, by its newest commit."""
        found = self.open(table)
        return None if found is None else found.transaction_version(application)

    def published(self, stream: str | None = None) -> list[dict[str, Any]]:
        """The batches that readers may see, oldest first."""
        batches = self.rows("batches")
        mine = [batch for batch in batches if stream is None or batch["stream"] == stream]
        return sorted(mine, key=lambda batch: (batch["at"], batch["batch"]))

    def reached(self, stream: str) -> dict[str, int]:
        """The last published position of every source of a stream, as `source/partition`."""
        reached: dict[str, int] = {}
        for batch in self.published(stream):
            for place, last in json.loads(batch["sources"]).items():
                reached[place] = max(last, reached.get(place, -1))
        return reached

    def watermarks(self, stream: str) -> dict[str, int]:
        """The greatest published event time of every topic partition of a stream."""
        if self.open(f"silver/{stream}") is None:
            return {}
        silver = self.read(f"silver/{stream}", columns=["_source", "_partition", "_time"], where=_STREAMED)
        grouped = silver.group_by(["_source", "_partition"]).aggregate([("_time", "max")])
        return {f"{row['_source']}/{row['_partition']}": row["_time_max"] for row in grouped.to_pylist()}

    def _published(self, table: str) -> ds.Expression | None:
        if not table.startswith(BATCHED):
            return None
        stream = table.partition("/")[2]
        names = [batch["batch"] for batch in self.published(stream)]
        if table.startswith("quarantine/"):
            return None
        return ds.field("_batch").isin(names)


def _both(left: ds.Expression | None, right: ds.Expression | None) -> ds.Expression | None:
    if left is None or right is None:
        return left if right is None else right
    return left & right


def _now_ms() -> int:
    # Delta's own bookkeeping of markers; no logic of ours reads it
    return int(dt.datetime.now(dt.UTC).timestamp() * 1000)
