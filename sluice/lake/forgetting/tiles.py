"""Tiles of a lake without events that are gone: those of the entities that had seen them are laid out anew."""

from __future__ import annotations

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.views import Windows
from sluice.engine.encode import Mask
from sluice.lake import buckets, tiles
from sluice.lake.keeping.rewriting import Share, Which, rewrite
from sluice.lake.tables import Lake


def renew(lake: Lake, view: Windows, which: Which) -> Share:
    """Lay out the tiles of some entities anew from the rows that are left of them, in one commit."""
    return rewrite(lake, tiles.tile_table(view), which, partial(_renewed, lake, view))


def _renewed(lake: Lake, view: Windows, held: pa.Table, touched: Mask) -> pa.Table:
    """The tiles of a file, which has all of each of its entities; newer ones of another file stand as before."""
    if not tiles.has_turns(held):
        return held.filter(pa.array(~touched))
    mine = held.filter(pa.array(touched))
    left = buckets.of_entities(lake, f"rows/{view.name}", pc.unique(mine.column("key")))
    return pa.concat_tables([held.filter(pa.array(~touched)), *tiles.anew(view, mine, left)])
