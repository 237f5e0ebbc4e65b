"""Foreign keys and their parents: which find one in published history, and which have time yet."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.streams import Stream
from sluice.lake.tables import Lake
from sluice.lake.within import around, between


class Keys(NamedTuple):
    """Foreign keys of some rows: those whose time is over, those of them without a parent, and those that wait."""

    due: int = 0
    orphans: int = 0
    waiting: int = 0


def find_parents(stream: Stream, lake: Lake, rows: pa.Table, due: int) -> Keys:
    """The keys of rows of silver; an event after the moment `due` may still find its parent."""
    if stream.parent is None:
        return Keys()
    column, parent = stream.parent
    linked = rows.filter(pc.is_valid(rows.column(column)))
    alone = linked.filter(pc.invert(_known(lake, parent, linked.column(column))))
    orphans = pc.sum(pc.less_equal(alone.column("_time"), due)).as_py() or 0
    waiting = len(alone) - orphans
    return Keys(len(linked) - waiting, orphans, waiting)


def overdue(stream: Stream, lake: Lake, since: int, due: int) -> Keys:
    """The keys of published events after `since` and up to `due`: their time was over after the batch before this."""
    if stream.parent is None or since >= due or lake.open(f"silver/{stream.name}") is None:
        return Keys()
    when = between(_time=(since + 1, due))
    rows = lake.read(f"silver/{stream.name}", columns=["_time", stream.parent[0]], within=when)
    return find_parents(stream, lake, rows, due)


def _known(lake: Lake, parent: Stream, keys: pa.ChunkedArray) -> pa.Array:
    """Which keys are ids in published history."""
    distinct = pc.unique(keys)
    table = f"silver/{parent.name}"
    if not len(distinct) or lake.open(table) is None:
        return pa.array([False] * len(keys), pa.bool_())
    among = ds.field("_id").isin(distinct)
    known = lake.read(table, columns=["_id"], where=among, within=around("_id", distinct)).column("_id")
    return pc.is_in(keys.combine_chunks(), value_set=known.combine_chunks())
