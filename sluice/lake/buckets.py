"""Rows of a view in hash buckets of the entity: laid out once, and kept up by every backfill that goes on from another.

`rows/<view>` holds what `engine.history.rows` gives, and `rows_as_served/<view>` what `engine.arrivals` does, with
`part` (the bucket) and `sign`: 1 for a row that joined, -1 for one that left. Within a file rows lie in the order of
time, so that who needs the last weeks skips the years before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from sluice.engine.encode import Ints, integers
from sluice.engine.order import by_key, inverse
from sluice.engine.shares import part_of
from sluice.errors import DataError
from sluice.lake.files import write_parquet
from sluice.lake.tables import Lake
from sluice.lake.within import between
from sluice.wording import counted

JOINED, LEFT = 1, -1
_PART, _SIGN = "part", "sign"


def dealt(table: pa.Table, by: pa.ChunkedArray, parts: int) -> Iterator[tuple[int, pa.Table]]:
    """A table by the bucket of one of its columns; buckets without rows are left out."""
    if parts == 1:
        yield from [(0, table)] if len(table) else []
        return
    part = part_of(by, parts)
    sorted_ = table.take(pa.array(inverse(by_key(part, parts))))
    ends = np.cumsum(np.bincount(part, minlength=parts))
    for index, (begin, end) in enumerate(pairwise([0, *ends.tolist()])):
        if end > begin:
            yield index, sorted_.slice(begin, end - begin)


def lay(uri: str, part: int, joined: pa.Table, left: pa.Table | None = None) -> None:
    """Write the rows of one bucket that joined, and those that left, as a file of the table."""
    sides = [signed(joined, part, JOINED), *([signed(left, part, LEFT)] if left is not None else [])]
    both = pa.concat_tables(sides)
    order = np.argsort(integers(both.column("time"))[0], kind="stable")
    write_parquet(uri, [both.take(pa.array(order))], both.schema, repeated=[])


def laid(
    lake: Lake,
    table: str,
    part: int,
    *,
    since: int | None = None,
    keys: pa.Array | None = None,
    fresh: pa.Table | None = None,
) -> pa.Table:
    """The rows of one bucket of a table from a moment on, of some entities or all, with what is about to be added."""
    held = lake.open(table)
    if held is None:
        raise AssertionError(f"there is no {table}")
    asked = between(**{_PART: (part, part)}, time=(since, None))
    wanted = asked.rows if keys is None else asked.rows & ds.field("key").isin(keys)
    found = pa.table(lake.dataset(held, within=asked).to_table(filter=wanted))
    if fresh is not None:
        found = pa.concat_tables([found, fresh.cast(found.schema)])
    return standing(found)


def of_entities(lake: Lake, table: str, keys: pa.Array) -> pa.Table:
    """All rows of some entities; nothing that is wrong with them may keep somebody from being forgotten."""
    held = lake.open(table)
    if held is None:
        raise AssertionError(f"there is no {table}")
    found, times = _summed(pa.table(lake.dataset(held).to_table(filter=ds.field("key").isin(keys))))
    return found.take(pa.array(np.repeat(np.arange(len(times)), np.maximum(times, 0))))


def signed(rows: pa.Table, part: int, sign: int) -> pa.Table:
    """Rows that joined, or that left, as a table of rows has them."""
    return tagged(rows, {_PART: np.int32(part), _SIGN: np.int8(sign)})


def tagged(rows: pa.Table, tags: Mapping[str, np.signedinteger[Any]]) -> pa.Table:
    """A table with columns more, of one value each."""
    columns = {name: pa.array(np.full(len(rows), value)) for name, value in tags.items()}
    return pa.table({**{name: rows.column(name) for name in rows.column_names}, **columns})


def standing(rows: pa.Table) -> pa.Table:
    """The rows that joined without those that left again; DataError where one left that had not joined."""
    found, times = _summed(rows)
    if (times < 0).any():
        raise DataError(
            f"{counted(int((times < 0).sum()), 'row')} of a view left that had not joined",
            where=f"bucket {rows.column(_PART)[0]}",
            next_step="compute everything anew: spark_jobs/backfill.py --whole",
        )
    return found.take(pa.array(np.repeat(np.arange(len(times)), times)))


def _summed(rows: pa.Table) -> tuple[pa.Table, Ints]:
    """The different rows, and how often each joined and did not leave."""
    names = [name for name in rows.column_names if name not in {_PART, _SIGN}]
    signs = integers(rows.column(_SIGN))[0]
    if (signs == JOINED).all():
        return rows.select(names), np.ones(len(rows), np.int64)
    summed = rows.group_by(names, use_threads=False).aggregate([(_SIGN, "sum")])
    return summed.select(names), integers(summed.column(f"{_SIGN}_sum"))[0]
