"""Tiles of a lake without events that are gone: those of the entities that had seen them are laid out anew."""

from __future__ import annotations

from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.views import Windows
from sluice.engine.build import build
from sluice.engine.encode import Mask
from sluice.lake import buckets
from sluice.lake.keeping.rewriting import Share, Which, rewrite
from sluice.lake.plan import BACKFILLS
from sluice.lake.tables import Lake


def renew(lake: Lake, view: Windows, which: Which) -> Share:
    """Lay out the tiles of some entities anew from the rows that are left of them, in one commit."""
    return rewrite(lake, f"tiles/{view.name}", which, partial(_renewed, lake, view))


def _renewed(lake: Lake, view: Windows, tiles: pa.Table, touched: Mask) -> pa.Table:
    """The tiles of a file, which has all of each of its entities."""
    mask = pa.array(touched)
    left = buckets.of_entities(lake, f"rows/{view.name}", pc.unique(tiles.column("key").filter(mask)))
    return pa.concat_tables([tiles.filter(pc.invert(mask)), build(view, left, since=_recent(lake, view))])


def _recent(lake: Lake, view: Windows) -> int:
    """From when on tiles have rows: the horizon before the moment of the backfill that made them."""
    made = max(lake.rows(BACKFILLS["event_time"]), key=lambda row: row["number"])
    return int(made["at"]) - view.horizon
