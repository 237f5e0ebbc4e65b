"""Parquet files that somebody else wrote, named by a Delta commit: with statistics, so that readers skip the others."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs
import pyarrow.parquet as pq
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction, create_table_with_add_actions

from sluice.errors import DataError, Outage, UserError
from sluice.lake.storage import options, place

_ROW_GROUP = 65_536
PART = ".part"
"""What the name of a file ends with that is not whole yet."""
_LONGEST, _LAST = 128, "\U0010ffff"
"""Longer texts are left out of the statistics."""


def staged_files(table_uri: str, folder: str) -> tuple[list[AddAction], pa.Schema | None]:
    """The parquet files of a folder below a table that hold rows, and their schema; None when nothing was written."""
    filesystem, root = place(f"{table_uri}/{folder}")
    selector = pyarrow.fs.FileSelector(root, allow_not_found=True)
    found = [info for info in filesystem.get_file_info(selector) if info.base_name.endswith(".parquet")]
    return actions_of(table_uri, [f"{folder}/{info.base_name}" for info in found])


def actions_of(table_uri: str, paths: Sequence[str]) -> tuple[list[AddAction], pa.Schema | None]:
    """Parquet files by their paths below a table: those that hold rows, and the schema of all; None for no files."""
    filesystem, root = place(table_uri)
    found = filesystem.get_file_info([f"{root}/{path}" for path in paths])
    read = [(path, info, _metadata(filesystem, info.path)) for path, info in zip(paths, found, strict=True)]
    actions = [_action(path, info, metadata) for path, info, metadata in read if metadata.num_rows]
    return actions, read[0][2].schema.to_arrow_schema().remove_metadata() if read else None


def missing(table_uri: str, paths: Sequence[str]) -> list[str]:
    """Those of some paths below a table at which there is no file."""
    filesystem, root = place(table_uri)
    found = filesystem.get_file_info([f"{root}/{path}" for path in paths])
    return [path for path, info in zip(paths, found, strict=True) if not info.is_file]


def _metadata(filesystem: pyarrow.fs.FileSystem, path: str) -> pq.FileMetaData:
    with filesystem.open_input_file(path) as source, pq.ParquetFile(source) as file:
        return file.metadata


@contextmanager
def whole_file(uri: str) -> Iterator[pyarrow.NativeFile]:
    """Where to write a file that is there when it is whole, or not at all: who dies meanwhile leaves a `.part`.

    So two tasks that write the same never tear each other's file, and what is there needs no second look.
    """
    filesystem, path = place(uri)
    filesystem.create_dir(path.rpartition("/")[0], recursive=True)
    if not isinstance(filesystem, pyarrow.fs.LocalFileSystem):
        # an object of a bucket is there when its last byte is
        with filesystem.open_output_stream(path) as sink:
            yield sink
        return
    fresh = f"{path}.{uuid.uuid4().hex}{PART}"
    try:
        with filesystem.open_output_stream(fresh) as sink:
            yield sink
        filesystem.move(fresh, path)
    except BaseException:
        remove(fresh)
        raise


def write_parquet(
    uri: str,
    tables: Iterable[pa.Table],
    schema: pa.Schema,
    *,
    repeated: Sequence[str] | None = None,
    group: int | None = None,
) -> None:
    """Write tables of one schema as a parquet file; values of the `repeated` columns are kept in a dictionary.

    `group` is how many rows are read together at most, where that matters.
    """
    # numbers hardly repeat: a dictionary of them would be made and thrown away
    if repeated is None:
        repeated = [field.name for field in schema if not pa.types.is_floating(field.type)]
    with (
        whole_file(uri) as sink,
        pq.ParquetWriter(sink, schema, use_dictionary=list(repeated)) as writer,
    ):
        for some in _groups(tables):
            writer.write_table(some, row_group_size=group)


def _groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROW_GROUP:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def read_file(uri: str, *, where: ds.Expression | None = None) -> pa.Table:
    """A parquet file as a table, or the rows of it that meet a condition."""
    filesystem, path = place(uri)
    return pq.read_table(path, filesystem=filesystem, filters=where)


def spans(held: deltalake.DeltaTable, column: str) -> Iterator[tuple[str, int | None, int | None]]:
    """The files of a table by their paths, each with the least and the greatest value of a column, if it is known."""
    files = pa.table(held.get_add_actions(flatten=True))
    unknown = [None] * len(files)
    ends = [
        files.column(name).to_pylist() if name in files.column_names else unknown
        for name in (f"min.{column}", f"max.{column}")
    ]
    return zip(files.column("path").to_pylist(), *ends, strict=True)


def remove(uri: str) -> None:
    """Remove a file, or a folder with all that is in it; one that is not there is no matter."""
    filesystem, root = place(uri)
    kind = filesystem.get_file_info(root).type
    if kind == pyarrow.fs.FileType.Directory:
        filesystem.delete_dir(root)
    elif kind == pyarrow.fs.FileType.File:
        filesystem.delete_file(root)


def move(folder: str, to: str) -> None:
    """Move the files of a folder into another one."""
    filesystem, source = place(folder)
    _, target = place(to)
    filesystem.create_dir(target, recursive=True)
    for info in filesystem.get_file_info(pyarrow.fs.FileSelector(source, allow_not_found=True)):
        filesystem.move(info.path, f"{target}/{info.base_name}")


def is_delta(path: Path) -> bool:
    """Whether a folder says that it is a Delta table."""
    return (path / "_delta_log").is_dir()


def open_delta(path: Path) -> deltalake.DeltaTable:
    """The Delta table in a folder, which must not be partitioned; UserError for another."""
    try:
        table = deltalake.DeltaTable(str(path))
        partitions = table.metadata().partition_columns
    except DeltaError as error:
        raise UserError(f"the Delta table cannot be read: {error}", where=str(path)) from error
    if partitions:
        raise UserError("the Delta table is partitioned", where=str(path), next_step="name one without partitions")
    return table


def create_table(
    uri: str,
    schema: pa.Schema,
    actions: list[AddAction],
    marks: list[deltalake.Transaction],
    configuration: Mapping[str, str],
) -> None:
    """Create a table of these files; a deltalake error when another process was faster."""
    create_table_with_add_actions(
        uri,
        deltalake.Schema.from_arrow(schema),
        actions,
        mode="error",
        configuration=configuration,
        storage_options=options(uri),
        # a creation that is tried again would append, whoever was faster and whatever it marked
        commit_properties=deltalake.CommitProperties(app_transactions=marks, max_commit_retries=0),
    )


def append_files(
    held: deltalake.DeltaTable, schema: pa.Schema, actions: list[AddAction], marks: list[deltalake.Transaction]
) -> None:
    """Add files to a table, and the columns that it does not have yet; DataError says which changed their type."""
    _widen(held, deltalake.Schema.from_arrow(schema))
    held.create_write_transaction(
        actions,
        mode="append",
        schema=held.schema(),
        partition_by=[],
        commit_properties=deltalake.CommitProperties(app_transactions=marks),
    )


def replace_files(
    held: deltalake.DeltaTable, schema: pa.Schema, actions: list[AddAction], marks: list[deltalake.Transaction]
) -> None:
    """A new version of a table that holds these files and no others, under their schema."""
    held.create_write_transaction(
        actions,
        mode="overwrite",
        schema=deltalake.Schema.from_arrow(schema),
        partition_by=[],
        commit_properties=deltalake.CommitProperties(app_transactions=marks),
    )


def exchange_files(
    held: deltalake.DeltaTable, actions: list[AddAction], removed: Sequence[str], marks: list[deltalake.Transaction]
) -> None:
    """A new version of a table with more files, and without some of those that it names.

    Outage when one of those is there no longer: another process has written the table since.
    """
    there = set(pa.table(held.get_add_actions()).column("path").to_pylist())
    if not set(removed) <= there:
        raise Outage("files that were read have been replaced since", where=held.table_uri, next_step="run it again")
    # Delta's own bookkeeping: a vacuum leaves alone what was taken out a moment ago, and may still be read
    now = int(time.time() * 1000)
    held.create_write_transaction(
        [*actions, *(RemoveAction(path, True, now) for path in removed)],  # noqa: FBT003 Delta's own order
        mode="append",
        schema=held.schema(),
        partition_by=[],
        # what is removed was read at this version: a commit in between is judged anew
        commit_properties=deltalake.CommitProperties(app_transactions=marks, max_commit_retries=0),
    )


def _widen(held: deltalake.DeltaTable, wanted: deltalake.Schema) -> None:
    known = {field.name: field.type for field in held.schema().fields}
    changed = [f"{field.name}: {known[field.name]} → {field.type}" for field in wanted.fields if _differs(field, known)]
    if changed:
        raise DataError(
            f"columns changed their type ({', '.join(changed)})",
            where=held.table_uri,
            next_step="declare the column under a new name, or write the stream's history anew",
        )
    fresh = [field for field in wanted.fields if field.name not in known]
    if fresh:
        held.alter.add_columns(fresh)
        held.update_incremental()


def _differs(field: deltalake.Field, known: dict[str, Any]) -> bool:
    return field.name in known and field.type != known[field.name]


def _action(path: str, info: Any, metadata: pq.FileMetaData) -> AddAction:
    data_change = True
    modified = int(info.mtime_ns // 1_000_000)
    return AddAction(path, info.size, {}, modified, data_change, json.dumps(_statistics(metadata)))


def _statistics(metadata: pq.FileMetaData) -> dict[str, Any]:
    """Delta's statistics of a file: its rows; nulls of every column, and bounds of whole numbers and texts.

    A reader may take a file that lacks them, beside others that have some, to have no such row.
    """
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    columns = {metadata.schema.column(index).path: index for index in range(metadata.num_columns)}
    every = {
        name: [group.column(index).statistics for group in groups] for name, index in columns.items() if "." not in name
    }
    counted = {name: found for name, found in every.items() if all(one and one.has_null_count for one in found)}
    bounds = {name: ends for name, found in counted.items() if (ends := _ends(found)) is not None}
    return {
        "numRecords": metadata.num_rows,
        "minValues": {name: low for name, (low, _) in bounds.items()},
        "maxValues": {name: high for name, (_, high) in bounds.items()},
        # without it a reader takes the bounds to hold for every row, and skips the nulls
        "nullCount": {name: sum(one.null_count for one in found) for name, found in counted.items()},
    }


def _ends(statistics: Sequence[Any]) -> tuple[Any, Any] | None:
    """The bounds of a column in all row groups; those of long texts are cut, and still bounds."""
    known = [one for one in statistics if one.has_min_max]
    if not known or any(one.num_values and not one.has_min_max for one in statistics):
        return None
    low, high = min(one.min for one in known), max(one.max for one in known)
    if type(low) is int and known[0].logical_type.type in {"NONE", "INT"}:
        return low, high
    if type(low) is str:
        return low[:_LONGEST], high if len(high) <= _LONGEST else high[:_LONGEST] + _LAST
    return None
