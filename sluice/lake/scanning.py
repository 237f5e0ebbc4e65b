"""A Delta table as a dataset whose files are skipped by the bounds that they have, and by no others.

deltalake's own takes a file without bounds of a column, beside files that have some, to lie within `column >= null`:
that holds of no row, so that pyarrow skips the file, or takes all of its rows to be null, and rows are not found.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Any
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.lake.storage import below

_CUT = dt.timedelta(milliseconds=1)
"""What may be missing of the greatest time of a file, as statistics have milliseconds (Delta protocol)."""
_EVERY = ds.scalar(1) == ds.scalar(1)
_ENDS = ("min", "max")
Pruned = str | Sequence[tuple[str, str, Any]] | None
"""What the statistics of files must meet, as deltalake reads it."""


def dataset_of(held: deltalake.DeltaTable, *, schema: pa.Schema | None = None, pruned: Pruned = None) -> ds.Dataset:
    """The rows of a table, with null in columns of `schema` that it does not have; without files that are pruned."""
    found = held.to_pyarrow_dataset(filesystem=below(held.table_uri), schema=schema, file_pruning_predicate=pruned)
    unsure = dict(_unbounded(held, found.schema))
    if not unsure:
        return found
    fragments = [
        found.format.make_fragment(file.path, found.filesystem, partition_expression=unsure[file.path])
        if file.path in unsure
        else file
        for file in found.get_fragments()
    ]
    return ds.FileSystemDataset(fragments, found.schema, found.format, found.filesystem)


def _unbounded(held: deltalake.DeltaTable, schema: pa.Schema) -> Iterator[tuple[str, ds.Expression]]:
    """The files that have no bounds of a column of which others have some, each with what holds of its rows."""
    files = pa.table(held.get_add_actions(flatten=True))
    names = [name[4:] for name in files.column_names if name.startswith("min.") and name[4:] in schema.names]
    names = [name for name in names if not _counted_alone(files, name)]
    ends = [files.column(f"{end}.{name}") for name in names for end in _ENDS]
    if not any(column.null_count for column in ends):
        return
    lacking = reduce(pc.or_, [pc.is_null(column) for column in ends])
    for row in files.filter(lacking).to_pylist():
        holds = reduce(and_, (one for name in names for one in _holds(row, schema.field(name))), _EVERY)
        yield unquote(row["path"]), holds


def _counted_alone(files: pa.Table, name: str) -> bool:
    """Whether every file tells the nulls of a column and none its bounds, as of floats: deltalake takes that right."""
    counted = f"null_count.{name}"
    bounded = any(files.column(f"{end}.{name}").null_count < len(files) for end in _ENDS)
    return not bounded and counted in files.column_names and not files.column(counted).null_count


def _holds(row: Mapping[str, Any], column: pa.Field) -> Iterator[ds.Expression]:
    """What a file's statistics say of a column."""
    field, nulls = ds.field(column.name), row.get(f"null_count.{column.name}")
    low, high = row[f"min.{column.name}"], row[f"max.{column.name}"]
    if pa.types.is_timestamp(column.type) and high is not None:
        high += _CUT
    if nulls is not None and nulls == row["num_records"]:
        yield field.is_null()
        return
    if nulls == 0:
        yield field.is_valid()
    if low is not None and high is not None:
        within = (field >= pa.scalar(low, column.type)) & (field <= pa.scalar(high, column.type))
        yield within if nulls == 0 else within | field.is_null()
