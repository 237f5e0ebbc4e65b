"""Tiles that a lake holds, as those of one moment: an entity that nobody touched since was cut earlier than others."""

from __future__ import annotations

from typing import Any

from sluice.declare.views import Windows
from sluice.engine.build import build, opened
from sluice.lake.tables import Lake
from sluice.lake.tiles import standing


def tiles_at(lake: Lake, view: Windows, at: int) -> list[dict[str, Any]]:
    """The tiles of every entity by key and start, cut a horizon before a moment, as a backfill of everything would."""
    held = opened(view, standing(lake, view))
    return in_order(build(view, held.rows, since=at - view.horizon, bases=held.bases).to_pylist())


def in_order(tiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tiles by key, the head of each first."""
    return sorted(tiles, key=lambda row: (str(row["key"]), row["start"] is not None, row["start"] or 0))
