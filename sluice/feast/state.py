"""What the store holds of one entity as bytes: what a Feast view hands to its `_at` view.

magic | bytes of the head, number of chunks | start and bytes of each | the head, the chunks
"""

from __future__ import annotations

import struct

from sluice.engine.read import Held
from sluice.errors import DataError

_MAGIC = b"SLT2"
_SIZES = struct.Struct("<II")
_CHUNK = struct.Struct("<qI")


def pack_tiles(held: Held) -> bytes:
    """An entity's head and chunks as bytes."""
    head = held.head or b""
    listed = [_CHUNK.pack(start, len(body)) for start, body in held.chunks.items()]
    return b"".join([_MAGIC, _SIZES.pack(len(head), len(listed)), *listed, head, *held.chunks.values()])


def unpack_tiles(packed: bytes | None, *, where: str) -> Held:
    """The inverse of `pack_tiles`, bit for bit; DataError for other bytes."""
    if packed is None or packed[:4] != _MAGIC:
        raise DataError(
            "these are not the tiles of an entity",
            where=where,
            next_step="let SluiceOnlineStore be the online store in feature_store.yaml",
        )
    size, number = _SIZES.unpack_from(packed, 4)
    first = 4 + _SIZES.size
    at = first + number * _CHUNK.size
    head, at = packed[at : at + size], at + size
    chunks = {}
    for place in range(first, first + number * _CHUNK.size, _CHUNK.size):
        start, length = _CHUNK.unpack_from(packed, place)
        chunks[start] = packed[at : at + length]
        at += length
    return Held(head or None, chunks)
