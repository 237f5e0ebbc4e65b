"""The tiles of one entity as bytes: what a Feast view hands to its `_at` view.

magic | number of tiles | slot, bytes of state, rows and ids of each | all states, rows and ids
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sluice.declare.views import Windows
from sluice.engine.store import Wanted
from sluice.engine.tiles import Id, Tile
from sluice.errors import DataError

_MAGIC = b"SLT1"
_NUMBER = struct.Struct("<I")
_TILE = struct.Struct("<qIII")
_EVER = 2**62


def wanted(view: Windows, key: Id | None, at: int | None) -> Wanted:
    """The tiles of an entity that a moment can need; every one that is kept when the moment is not known yet."""
    if at is None:
        return Wanted(view.name, key, -_EVER, _EVER)
    near = at - view.lag
    return Wanted(view.name, key, (near - view.longest) // view.slot, near // view.slot)


def pack_tiles(tiles: Sequence[Tile]) -> bytes:
    """Tiles as bytes."""
    heads = [_TILE.pack(tile.slot, len(tile.state), len(tile.rows), len(tile.ids)) for tile in tiles]
    bodies = [part for tile in tiles for part in (tile.state, tile.rows, tile.ids)]
    return b"".join([_MAGIC, _NUMBER.pack(len(tiles)), *heads, *bodies])


def unpack_tiles(packed: bytes | None, *, where: str) -> list[Tile]:
    """The tiles of `pack_tiles`, bit for bit; DataError for other bytes."""
    if packed is None or packed[:4] != _MAGIC:
        raise DataError(
            "these are not the tiles of an entity",
            where=where,
            next_step="let SluiceOnlineStore be the online store in feature_store.yaml",
        )
    (number,) = _NUMBER.unpack_from(packed, 4)
    first = 4 + _NUMBER.size
    at = first + number * _TILE.size
    tiles = []
    for place in range(first, at, _TILE.size):
        slot, *lengths = _TILE.unpack_from(packed, place)
        ends = [at + sum(lengths[:end]) for end in range(4)]
        state, rows, ids = (packed[ends[i] : ends[i + 1]] for i in range(3))
        tiles.append(Tile(slot, state, rows, ids))
        at = ends[3]
    return tiles
