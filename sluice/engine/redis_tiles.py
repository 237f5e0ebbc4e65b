"""Heads and chunks in Redis: what asks for them, what the replies say, and what writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sluice.engine.redis_words import Command, Keys, changes, chunk_field, field_of
from sluice.engine.store import ChunkName
from sluice.engine.tiles import Id


@dataclass(frozen=True)
class Wanted:
    """Some heads (nobody's is None) and chunks; one command for those of each view."""

    names: Sequence[tuple[str, Id | None]]
    chunks: Sequence[ChunkName] = ()
    _places: dict[str, list[int]] = field(default_factory=dict)
    """Where the heads of each view are among the names."""
    _called: dict[str, list[ChunkName]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, (view, key) in enumerate(self.names):
            if key is not None:
                self._places.setdefault(view, []).append(place)
        for name in self.chunks:
            self._called.setdefault(name[0], []).append(name)

    def commands(self, keys: Keys) -> list[Command]:
        """What asks for all of it."""
        asked: list[Command] = [
            ("HMGET", keys.heads(view), *self._fields(places)) for view, places in self._places.items()
        ]
        for view, some in self._called.items():
            asked.append(("HMGET", keys.chunks(view), *(chunk_field(key, start) for _, key, start in some)))
        return asked

    def read(self, replies: Sequence[Any]) -> tuple[list[bytes | None], Mapping[ChunkName, bytes | None]]:
        """Heads in the order of their names, and chunks, from the replies."""
        heads: list[bytes | None] = [None] * len(self.names)
        for places, reply in zip(self._places.values(), replies, strict=False):
            for place, head in zip(places, reply, strict=True):
                heads[place] = head
        bodies: dict[ChunkName, bytes | None] = {}
        for some, reply in zip(self._called.values(), replies[len(self._places) :], strict=True):
            bodies.update(zip(some, reply, strict=True))
        return heads, bodies

    def _fields(self, places: Sequence[int]) -> Iterator[bytes]:
        return (field_of(key) for place in places if (key := self.names[place][1]) is not None)


def tile_changes(
    keys: Keys,
    heads: Sequence[tuple[str, Id, bytes | None]],
    chunks: Sequence[tuple[str, Id, int, bytes | None]],
) -> Iterator[Command]:
    """The commands that write heads and chunks, and remove those of None."""
    put: dict[str, list[tuple[bytes, bytes | None]]] = {}
    laid: dict[str, list[tuple[bytes, bytes | None]]] = {}
    for view, key, head in heads:
        put.setdefault(view, []).append((field_of(key), head))
    for view, key, start, body in chunks:
        laid.setdefault(view, []).append((chunk_field(key, start), body))
    for view, fields in put.items():
        yield from changes(keys.heads(view), fields)
    for view, fields in laid.items():
        yield from changes(keys.chunks(view), fields)
    if put or laid:
        yield ("SADD", keys.views, *sorted({*put, *laid}))
