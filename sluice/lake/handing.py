"""What tasks hand to each other: Arrow files in folders, whole or not there, of which one may read a span of time."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs

from sluice.lake.files import whole_file
from sluice.lake.storage import place

_BATCH = 8_192
"""Rows that are left and read together, where they lie in the order of time."""
_BOUNDS = b"bounds"


def hand_over(uri: str, table: pa.Table, *, by: str | None = None) -> None:
    """Write what one task leaves for another: an Arrow file, which costs hardly more than its bytes.

    With `by`, a column of times, in their order, so that who needs a span of them reads little else.
    """
    batches, bounds = _in_order(table, by) if by is not None else (table.to_batches(), None)
    schema = table.schema.with_metadata(None if bounds is None else {_BOUNDS: json.dumps(bounds)})
    with whole_file(uri) as sink, pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def handed_over(
    uri: str,
    *,
    columns: Sequence[str] | None = None,
    since: int | None = None,
    before: int | None = None,
    by: str = "time",
) -> pa.Table | None:
    """What was left in a folder, as one table; None when there is nothing.

    Only some columns, or rows whose time (`by`) is from a moment on and before another, file by file.
    """
    filesystem, root = place(uri)
    found = filesystem.get_file_info(pyarrow.fs.FileSelector(root, allow_not_found=True))
    paths = sorted(info.path for info in found if info.base_name.endswith(".arrow"))
    tables = [_within(_arrow_file(filesystem, path, columns, since, before), since, before, by) for path in paths]
    return pa.concat_tables(tables) if tables else None


def _in_order(table: pa.Table, by: str) -> tuple[list[pa.RecordBatch], list[tuple[int, int]]]:
    """A table in the order of a column, in batches of one size, and the column's bounds in each."""
    times = table.column(by).combine_chunks().to_numpy(zero_copy_only=False)
    if (times[1:] < times[:-1]).any():
        order = np.argsort(times, kind="stable")
        table, times = table.take(pa.array(order)), times[order]
    batches = table.combine_chunks().to_batches(max_chunksize=_BATCH)
    ends = np.cumsum([len(batch) for batch in batches])
    bounds = [(int(times[end - len(batch)]), int(times[end - 1])) for batch, end in zip(batches, ends, strict=True)]
    return batches, bounds


def _arrow_file(
    filesystem: pyarrow.fs.FileSystem, path: str, columns: Sequence[str] | None, since: int | None, before: int | None
) -> pa.Table:
    with filesystem.open_input_file(path) as source:
        schema = pa.ipc.open_file(source).schema
        fields = schema.names if columns is None else columns
        options = pa.ipc.IpcReadOptions(included_fields=[schema.get_field_index(name) for name in fields])
        wanted = _wanted((schema.metadata or {}).get(_BOUNDS), since, before)
        with pa.ipc.open_file(source, options=options) as reader:
            numbers = range(reader.num_record_batches) if wanted is None else wanted
            batches = [reader.get_batch(number) for number in numbers]
            return pa.Table.from_batches(batches, reader.schema.remove_metadata())


def _wanted(bounds: bytes | None, since: int | None, before: int | None) -> list[int] | None:
    """The batches in which there may be a time of a span; None for all."""
    if bounds is None:
        return None
    return [
        number
        for number, (low, high) in enumerate(json.loads(bounds))
        if (since is None or high >= since) and (before is None or low < before)
    ]


def _within(table: pa.Table, since: int | None, before: int | None, by: str) -> pa.Table:
    if since is not None:
        table = table.filter(pc.greater_equal(table.column(by), since))
    if before is not None:
        table = table.filter(pc.less(table.column(by), before))
    return table
