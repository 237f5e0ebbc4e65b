"""How much an online store keeps of each view, and of its largest entities."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sluice.declare.views import Windows
from sluice.engine.store import ChunkName, Heads, TileStore
from sluice.engine.tiles import Head, Id, read_head


@dataclass(frozen=True)
class Entity:
    """What is kept of one entity: its events, their bytes in head and chunks, and in how many tiles they lie."""

    key: Id
    events: int
    bytes: int
    tiles: int


@dataclass(frozen=True)
class Sizes:
    """What is kept of a view, with its largest entities in the order of their bytes."""

    view: str
    entities: int
    events: int
    bytes: int
    largest: Sequence[Entity]


def sizes(view: Windows, stores: Iterable[TileStore], most: int) -> Sizes:
    """What the stores (the shards of one) keep of a view, with at most so many of its largest entities.

    Everything is read once, entity by entity; one that changes meanwhile is told as it was found.
    """
    entities = events = size = 0
    largest: list[tuple[int, str, Entity]] = []
    for store in stores:
        for one in _entities(view, store):
            entities, events, size = entities + 1, events + one.events, size + one.bytes
            largest = heapq.nlargest(most, [*largest, (one.bytes, str(one.key), one)])
    return Sizes(view.name, entities, events, size, [one for _, _, one in largest])


def _entities(view: Windows, store: TileStore) -> Iterator[Entity]:
    for key, body in store.scan(view.name):
        head = read_head(view, body)
        if head.leaves is None:
            yield _cold(key, head, len(body))
        else:
            yield _hot(view, store, key)


def _cold(key: Id, head: Head, kept: int) -> Entity:
    return Entity(key, 0 if head.rows is None else len(head.rows.matrix), kept, 0)


def _hot(view: Windows, store: TileStore, key: Id) -> Entity:
    """An entity with tiles, read again with them at one moment."""

    def all_of(heads: Heads) -> list[ChunkName]:
        index = read_head(view, heads[0]).leaves
        return [] if index is None else [(view.name, key, start) for start in index.starts.tolist()]

    read = store.read([(view.name, key)], all_of)
    head = read_head(view, read.heads[0])
    kept = len(read.heads[0] or b"") + sum(map(len, read.chunks.values()))
    if head.leaves is None:
        return _cold(key, head, kept)
    return Entity(key, int(head.leaves.sizes.sum()), kept, len(head.leaves.starts))
