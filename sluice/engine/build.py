"""The tiles of many entities at once from their rows, and rows from tiles: what a backfill leaves and goes on from.

A store is started from what it leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sluice.declare.views import Windows
from sluice.engine.based import NO_BASES, Bases
from sluice.engine.changes import table_rows
from sluice.engine.encode import Ints
from sluice.engine.forget import shortened
from sluice.engine.history import no_events
from sluice.engine.history import rows as rows_of
from sluice.engine.layout import ID, TIME, words_by_name
from sluice.engine.order import inverse, sides_of
from sluice.engine.tiles import NO_WORDS, Id, Rows, no_rows, read_chunk, read_head

_EVER = -(2**62)
"""Before all times."""


class Opened(NamedTuple):
    """What tiles hold: rows as `history.rows` gives them, and the states of what was before."""

    rows: pa.Table
    bases: Bases


def build(view: Windows, rows: pa.Table, *, since: int | None = None, bases: Bases = NO_BASES) -> pa.Table:
    """The tiles of every entity: `key`, `start` (null for a head), `body`, `first` and `last`.

    `rows` comes from `history.rows`; rows without key belong to no entity and give no tile. Rows before `since` only
    count for lifetime windows. `first` and `last` are when the entity's rows from `since` on begin and end, null
    without any.
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
    names = present.column("key").take(pa.array(order[bounds[:-1]], pa.int64())).to_pylist()
    parts = dict(zip(names, pairwise(bounds), strict=True))
    cut = _EVER if since is None else since
    made: list[tuple[Id, int | None, bytes, int | None, int | None]] = []
    for key in [*parts, *(bases.keys() - parts.keys())]:
        begin, end = parts.get(key, (0, 0))
        mine = Rows(matrix[begin:end], None if ids is None else ids[begin:end])
        laid = shortened(view, mine, cut, bases.get(key, NO_WORDS))
        if laid.head is not None:
            ends = _ends(mine.matrix[:, TIME], cut)
            made.append((key, None, laid.head, *ends))
            made += [(key, start, body, *ends) for start, body in laid.chunks.items() if body is not None]
    columns = zip(*made, strict=True) if made else [()] * len(schema(view))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema(view), strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema(view))


def schema(view: Windows) -> pa.Schema:
    """The columns of a view's tiles."""
    key = rows_of(view, no_events(view), kept=0).schema.field("key").type
    return pa.schema({"key": key, "start": pa.int64(), "body": pa.binary(), "first": pa.int64(), "last": pa.int64()})


def _ends(times: Ints, cut: int) -> tuple[int | None, int | None]:
    """The first and the last of times in order, from a cut on."""
    old = int(np.searchsorted(times, cut))
    return (int(times[old]), int(times[-1])) if old < len(times) else (None, None)


def opened(view: Windows, tiles: pa.Table) -> Opened:
    """The rows and the bases that tiles were built from, as far as they were not before their `since`."""
    none = no_rows(view)
    parts: list[Rows] = []
    bases: dict[Id, Ints] = {}
    for key, start, body in _listed(tiles):
        if start is not None:
            parts.append(read_chunk(view, body))
            continue
        head = read_head(view, body)
        parts.append(none if head.rows is None else head.rows)
        if len(head.base):
            bases[key] = head.base
    sizes = [len(part.matrix) for part in parts]
    keys = tiles.column("key").take(pa.array(np.repeat(np.arange(len(parts)), sizes)))
    matrix = np.concatenate([none.matrix, *(part.matrix for part in parts)])
    texts = [text for part in parts for text in part.ids or ()]
    schema = rows_of(view, no_events(view), kept=0).schema
    columns = {name: pa.array(matrix[:, word]) for name, word in words_by_name(view).items()}
    ids = pa.array(texts, pa.string()) if none.ids is not None else pa.array(matrix[:, ID])
    return Opened(pa.table({"key": keys, "id": ids, **columns}).select(schema.names).cast(schema), bases)


def _listed(tiles: pa.Table) -> Iterator[tuple[Id, int | None, bytes]]:
    columns = [tiles.column(name).to_pylist() for name in ("key", "start", "body")]
    return zip(*columns, strict=True)


def stored_tiles(view: str, table: pa.Table) -> Iterator[tuple[str, Id, int | None, bytes]]:
    """The rows of a tile table as a store loads them."""
    return ((view, key, start, body) for key, start, body in _listed(table))
