"""One bucket of a view in a backfill that goes on from another: values of what is touched, from stored tiles.

What an entity has is opened from its tiles, and what joined or left since is put to it: the rows are those that the
window of a request sees, and the state of what is older is what a lifetime window has of it. So a day costs what the
entities have that it touches, however long the history is, and however many others there are.

Tiles end a horizon before the moment of the backfill that made them. An entity of which more is needed, as a request
that looks back further is touched by an event that came very late, has its rows read from where all of them lie
(`lake.buckets`); so has one that gained or lost a row which the state of a lifetime window holds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.operate import AS_SERVED
from sluice.declare.views import Windows
from sluice.engine.based import NO_BASES
from sluice.engine.build import Opened, build, opened
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.forget import lifelong
from sluice.lake import buckets, dealing, tiles
from sluice.lake.backfills import Previous
from sluice.lake.files import read_file
from sluice.lake.handing import handed_over
from sluice.lake.pieces import Piece
from sluice.lake.plan import Plan

_ALWAYS, _NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Touched(NamedTuple):
    """The entities of a bucket that requests ask about or that gained or lost rows."""

    keys: pa.Array
    needed: Ints
    """From when on all rows of each are needed."""

    def find(self, keys: pa.ChunkedArray) -> tuple[Ints, Mask]:
        """The place of each key, and whether it has one."""
        return integers(pc.index_in(keys.combine_chunks(), value_set=self.keys, skip_nulls=True))


def advance(plan: Plan, before: Previous, piece: Piece) -> list[str]:
    """Compute the touched requests of a bucket and renew the tiles of what is touched; the files of tiles to replace.

    Values are dealt by day, and tiles written as a file below the run's folder.
    """
    view, part = plan.declared().view(piece.view), piece.part
    asked = handed_over(plan.work("requests", view.name, part))
    fresh = read_file(plan.tables().uri(f"{plan.rows(view)}/{plan.folder}/{part:05}.parquet"))
    if plan.knowledge == AS_SERVED:
        # there are no tiles of what was known once: whoever is asked about has all of its rows read
        touched, replaced = _touched(view, asked, fresh.slice(0, 0)), list[str]()
        found = Opened(_laid(plan, view, part, touched, fresh, np.ones(len(touched.keys), bool)), NO_BASES)
    else:
        touched = _touched(view, asked, fresh)
        found, replaced = _renewed(plan, before, view, part, touched, fresh)
    dealing.deal_values(plan, view, found, asked, piece.name)
    return replaced


def _touched(view: Windows, asked: pa.Table | None, fresh: pa.Table) -> Touched:
    sides = [(fresh, 0)] if asked is None else [(fresh, 0), (asked, view.reach)]
    keys = pc.drop_null(pc.unique(pa.chunked_array([one for side, _ in sides for one in side.column("key").chunks])))
    found = Touched(keys, np.full(len(keys), _NEVER))
    for side, reach in sides:
        if side is not fresh or lifelong(view):
            place, known = found.find(side.column("key"))
            np.minimum.at(found.needed, place[known], integers(side.column("time"))[0][known] - reach)
    return found


def _renewed(
    plan: Plan, before: Previous, view: Windows, part: int, touched: Touched, fresh: pa.Table
) -> tuple[Opened, list[str]]:
    """What the touched entities have, and the files of tiles that the one which is written replaces."""
    if not len(touched.keys):
        return Opened(buckets.standing(fresh.slice(0, 0)), NO_BASES), []
    bucket = tiles.bucket(plan.tables(), view, part, touched.keys)
    since = np.full(len(touched.keys), before.at - view.horizon)
    place, _ = touched.find(bucket.held.column("key"))
    since[place] = integers(bucket.held.column("at"))[0] - view.horizon
    deep = touched.needed < since
    stored = opened(view, bucket.held.filter(pa.array(~deep[place])).filter(ds.field("body").is_valid()))
    own = _since(touched, fresh, np.where(deep, _NEVER, since))
    rows = [buckets.standing(pa.concat_tables([buckets.signed(stored.rows, part, buckets.JOINED), own]))]
    if deep.any():
        rows.append(_laid(plan, view, part, touched, fresh, deep))
    found = Opened(pa.concat_tables(rows), stored.bases)
    built = build(view, found.rows, since=plan.at - view.horizon, bases=found.bases)
    uri = plan.tables().uri(f"{tiles.tile_table(view)}/{plan.folder}/{part:05}.parquet")
    tiles.renew(uri, view, part, tiles.Stamp(before.turn, plan.at), touched.keys, bucket, built)
    return found, bucket.replaced


def _laid(plan: Plan, view: Windows, part: int, touched: Touched, fresh: pa.Table, some: Mask) -> pa.Table:
    """The rows of some entities from where all rows lie, as far back as they are needed."""
    since = None if lifelong(view) else int(min(touched.needed[some].min(initial=_NEVER), plan.at - view.horizon))
    own = _since(touched, fresh, np.where(some, _ALWAYS if since is None else since, _NEVER))
    keys = touched.keys.filter(pa.array(some))
    return buckets.laid(plan.tables(), plan.rows(view), part, since=since, keys=keys, fresh=own)


def _since(touched: Touched, fresh: pa.Table, since: Ints) -> pa.Table:
    """The rows of touched entities that joined or left, from a moment of each on."""
    place, known = touched.find(fresh.column("key"))
    known[known] = integers(fresh.column("time"))[0][known] >= since[place[known]]
    return fresh.filter(pa.array(known))
