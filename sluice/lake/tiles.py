"""Tiles of a view in the lake: what a backfill leaves of every entity, and the next one goes on from.

`tiles/<view>` holds what `engine.build` gives, with `part` (the bucket of the entity), and `turn` and `at` of the
backfill that made the tiles of an entity. A backfill that goes on from another writes all tiles of the entities that it
touched as one file more for each bucket. Of an entity those of the greatest turn stand; one that has none any more has
a row without a body.

Small files of a bucket are written again with what comes, so that each is bigger than all that were smaller: a bucket
has few files, and a tile is written again a few times in all (a log-structured merge, O'Neil et al. 1996).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import and_
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.views import Windows
from sluice.engine.build import build, opened, schema
from sluice.engine.encode import Mask, integers
from sluice.engine.forget import lifelong
from sluice.errors import DataError
from sluice.lake.buckets import tagged
from sluice.lake.files import read_file, write_parquet
from sluice.lake.tables import Lake

TILES = "tiles/"
"""What the names of all tables of tiles begin with."""
_PART = "part"
_GROUP = 4_096
"""Tiles of a file that are read together when some of them are looked for."""
_TIMES = 2
"""A file is small that has at most so many times the rows of what comes and of all smaller files."""


class Stamp(NamedTuple):
    """The backfill that makes tiles: it comes after all of a lesser turn, and may be for the same moment as they."""

    turn: int
    at: int


class File(NamedTuple):
    """A file of a bucket."""

    path: str
    """Below the table."""
    rows: int


@dataclass(frozen=True)
class Bucket:
    """One bucket of a view's tiles, looked at for some entities."""

    held: pa.Table
    """The newest tiles of these entities."""
    others: pa.Table
    """What the small files have of all others."""
    replaced: list[str]
    """The small files."""
    is_all: bool
    """Whether the bucket has no other files."""


def tile_table(view: Windows) -> str:
    """The table of a view's tiles."""
    return f"{TILES}{view.name}"


def stamped(built: pa.Table, part: int, stamp: Stamp) -> pa.Table:
    """What was built of a bucket, as the table has it."""
    return tagged(built, {_PART: np.int32(part), "turn": np.int64(stamp.turn), "at": np.int64(stamp.at)})


def lay(uri: str, part: int, stamp: Stamp, built: pa.Table) -> None:
    """Write what was built of all entities of a bucket as a file of the table."""
    _write(uri, stamped(built, part, stamp))


def bucket(lake: Lake, view: Windows, part: int, keys: pa.Array) -> Bucket:
    """Look at a bucket for some entities, about as many of which are going to be laid out anew."""
    files = _files(lake, view, part)
    count = _small(len(keys), files)
    uris = [f"{lake.uri(tile_table(view))}/{file.path}" for file in files]
    small, mine = [_empty(view), *map(read_file, uris[:count])], ds.field("key").isin(keys)
    held = [*(read_file(uri, where=mine) for uri in uris[count:]), *(file.filter(mine) for file in small)]
    others = pa.concat_tables([file.filter(~mine) for file in small])
    replaced = [file.path for file in files[:count]]
    return Bucket(_newest(pa.concat_tables(held)), _newest(others), replaced, count == len(files))


def renew(uri: str, view: Windows, part: int, stamp: Stamp, keys: pa.Array, found: Bucket, built: pa.Table) -> None:
    """Write what was built of the entities that a bucket was looked at for, with what is written again."""
    fresh = [found.others, stamped(built, part, stamp)]
    if found.is_all:
        fresh[0] = _left(view, fresh[0], stamp.at)
    else:
        fresh.append(_gone(keys, built, part, stamp))
    _write(uri, pa.concat_tables(fresh))


def anew(view: Windows, held: pa.Table, rows: pa.Table) -> Iterator[pa.Table]:
    """The same tiles as some held ones, of other rows of their entities."""
    for part, stamp, mine in _made(held):
        found = rows.filter(ds.field("key").isin(pc.unique(mine.column("key"))))
        yield stamped(build(view, found, since=stamp.at - view.horizon), part, stamp)


def without_old(lake: Lake, view: Windows, before: int, held: pa.Table, which: Mask) -> pa.Table:
    """The tiles of a file, of which some lose their rows from before a moment; no window reaches them any more."""
    found = [held.filter(pa.array(~which))]
    for part, stamp, mine in _made(held.filter(pa.array(which))):
        rows = opened(view, mine).rows
        built = build(view, rows.filter(pc.greater_equal(rows.column("time"), before)))
        # an older tile of another file would stand again
        older = (ds.field("turn") < stamp.turn) & (ds.field("last") >= before)
        mine_too = ds.field("key").isin(pc.unique(mine.column("key")))
        hidden = pc.unique(lake.read(tile_table(view), columns=["key"], where=older & mine_too).column("key"))
        found += [stamped(built, part, stamp), _gone(hidden, built, part, stamp)]
    return pa.concat_tables(found)


def _made(held: pa.Table) -> Iterator[tuple[int, Stamp, pa.Table]]:
    """Tiles by bucket and backfill."""
    names = [_PART, *Stamp._fields]
    made = held.group_by(names, use_threads=False).aggregate([])
    for part, *stamp in zip(*(made.column(name).to_pylist() for name in names), strict=True):
        mine = [ds.field(name) == value for name, value in zip(names, (part, *stamp), strict=True)]
        yield part, Stamp(*stamp), held.filter(reduce(and_, mine))


def _gone(keys: pa.Array, built: pa.Table, part: int, stamp: Stamp) -> pa.Table:
    """A row without a body for each entity of which nothing was built."""
    gone = pc.filter(keys, pc.invert(pc.is_in(keys, value_set=built.column("key"))))
    nothing = {name: pa.nulls(len(gone), built.schema.field(name).type) for name in built.column_names}
    return stamped(pa.table({**nothing, "key": gone}), part, stamp)


def standing(lake: Lake, view: Windows, *, version: int | None = None) -> pa.Table:
    """The tiles of every entity as `engine.build` leaves them, of a version of the table."""
    found = lake.read(tile_table(view), version=version)
    if not has_turns(found):
        raise DataError(
            "its tiles are those of an older version",
            where=tile_table(view),
            next_step="run the backfill, or the flow `features`, which compute them anew",
        )
    newest = _newest(found)
    return _left(view, newest, pc.max(newest.column("at")).as_py()).select(schema(view).names)


def has_turns(tiles: pa.Table) -> bool:
    """Whether tiles say which backfill made them; those of before this was so are all computed anew by the next one."""
    return "turn" in tiles.column_names


def _left(view: Windows, tiles: pa.Table, at: int | None) -> pa.Table:
    """The tiles of entities that have some, and of which a window can still see something."""
    there = tiles.filter(pc.is_valid(tiles.column("body")))
    if at is None or lifelong(view):
        return there
    return there.filter(pc.greater_equal(there.column("last"), at - view.horizon))


def _files(lake: Lake, view: Windows, part: int) -> list[File]:
    """The files of a bucket, the smallest first."""
    held = lake.open(tile_table(view))
    if held is None:
        raise AssertionError(f"there is no {tile_table(view)}")
    told = pa.table(held.get_add_actions(flatten=True))
    if not len(told):
        return []
    mine = told.filter(pc.equal(told.column(f"min.{_PART}"), part)).select(["path", "num_records"]).to_pylist()
    return sorted((File(row["path"], row["num_records"]) for row in mine), key=lambda file: (file.rows, file.path))


def _small(coming: int, files: Sequence[File]) -> int:
    """How many of the smallest files are to be written again: those that are left are big beside all before them."""
    smaller = accumulate((file.rows for file in files), initial=coming)
    small = [
        number for number, (file, rows) in enumerate(zip(files, smaller, strict=False), 1) if file.rows <= _TIMES * rows
    ]
    return max(small, default=0)


def _newest(tiles: pa.Table) -> pa.Table:
    """Of every entity the tiles that the last of some backfills made."""
    turn = integers(tiles.column("turn"))[0]
    if len(np.unique(turn)) <= 1:
        return tiles
    entity = integers(tiles.column("key").combine_chunks().dictionary_encode().indices)[0]
    last = np.full(int(entity.max()) + 1, -1, np.int64)
    np.maximum.at(last, entity, turn)
    return tiles.filter(pa.array(turn == last[entity]))


def _empty(view: Windows) -> pa.Table:
    return stamped(schema(view).empty_table(), 0, Stamp(0, 0))


def _write(uri: str, tiles: pa.Table) -> None:
    found = tiles.sort_by([("key", "ascending"), ("start", "ascending")])
    write_parquet(uri, [found], found.schema, repeated=[_PART, *Stamp._fields], group=_GROUP)
