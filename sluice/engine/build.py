"""The tiles of many entities at once, from all of their rows: what a backfill starts an online store from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pyarrow as pa

from sluice.declare.views import Windows
from sluice.engine.changes import table_rows
from sluice.engine.forget import shortened
from sluice.engine.order import inverse, sides_of
from sluice.engine.tiles import Id, Rows


def build(view: Windows, rows: pa.Table, *, since: int | None = None) -> pa.Table:
    """The tiles of every entity: `key`, `start` (null for a head) and `body`, in the order of the keys.

    `rows` comes from `history.rows`; rows without key belong to no entity and give no tile. Rows before `since` only
    count for lifetime windows.
    """
    present = rows.filter(rows.column("key").is_valid())
    stored = table_rows(view, present)
    side, _ = sides_of(present, present.slice(0, 0), tied=True)
    by_value = (*stored.matrix.T[:1:-1], side.tie, side.time, side.key)
    order = inverse(side.places()) if view.label is None else np.lexsort(by_value)
    keys = side.key[order]
    bounds = [0, *(np.flatnonzero(np.diff(keys)) + 1).tolist(), len(keys)] if len(keys) else []
    matrix = stored.matrix[order]
    ids = None if stored.ids is None else [stored.ids[place] for place in order.tolist()]
    names = present.column("key").take(pa.array(order[bounds[:-1]], pa.int64())) if bounds else present.column("key")
    cut = np.iinfo(np.int64).min if since is None else since
    made: list[tuple[int, int | None, bytes]] = []
    for place, (begin, end) in enumerate(pairwise(bounds)):
        laid = shortened(view, Rows(matrix[begin:end], None if ids is None else ids[begin:end]), int(cut))
        if laid.head is not None:
            made.append((place, None, laid.head))
            made += [(place, start, body) for start, body in laid.chunks.items() if body is not None]
    places, starts, bodies = zip(*made, strict=True) if made else ((), (), ())
    return pa.table(
        {
            "key": names.take(pa.array(places, pa.int64())),
            "start": pa.array(starts, pa.int64()),
            "body": pa.array(bodies, pa.binary()),
        }
    )


def stored_tiles(view: str, table: pa.Table) -> Iterator[tuple[str, Id, int | None, bytes]]:
    """The rows of a tile table as a store loads them."""
    columns = [table.column(name).to_pylist() for name in ("key", "start", "body")]
    return ((view, key, start, body) for key, start, body in zip(*columns, strict=True))
