"""Starting the stores of a divided pipeline from a base: every shard's tiles and facts, and what the routers keep."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.build import stored_tiles
from sluice.engine.facts import to_facts
from sluice.engine.shards import Spread
from sluice.engine.shares import needed, part_of, wanders
from sluice.engine.store import Fact, TileStore
from sluice.engine.tiles import Id
from sluice.engine.versions import originals
from sluice.stream.keys import anchor_key, partition_of
from sluice.stream.owned import EPOCH

Tile = tuple[str, Id, int | None, bytes]
Opened = Callable[[str], TileStore]
"""Opens the store of a name to write to it."""


def load_spread(
    pipeline: Pipeline,
    opened: Opened,
    spread: Spread,
    base: int,
    tiles: Mapping[str, pa.Table],
    events: Mapping[str, pa.Table],
) -> None:
    """Start every router and shard from a base: tile tables by view, and the encoded events still correctable.

    The running ones end with LostPartition. They all share a name for this load: what a router says that was started
    from another one is not listened to.
    """
    epoch: Tile = (*EPOCH, None, uuid.uuid4().hex.encode())
    facts = [fact for stream in pipeline.streams for fact in to_facts(stream, originals(events[stream.name]))]
    staying = [fact for fact in facts if not wanders(pipeline.stream(fact.stream))]
    for number in range(spread.partitions):
        mine = (fact for fact in staying if partition_of(anchor_key(fact.anchor), spread.partitions) == number)
        _load(opened(spread.router(pipeline.name, number)), base, [epoch], mine)
    concerned = needed(pipeline, staying, spread.shards)
    for number in range(spread.shards):
        mine = (fact for fact in facts if wanders(pipeline.stream(fact.stream)) or concerned[fact.anchor][number])
        _load(opened(spread.shard(pipeline.name, number)), base, [epoch, *_tiles(tiles, spread, number)], mine)


def _tiles(tiles: Mapping[str, pa.Table], spread: Spread, number: int) -> Iterable[Tile]:
    """The tiles of one shard's entities."""
    for view, table in tiles.items():
        mine = np.flatnonzero(part_of(table.column("key"), spread.shards) == number)
        yield from stored_tiles(view, table.take(pa.array(mine)))


def _load(store: TileStore, base: int, tiles: Sequence[Tile], facts: Iterable[Fact]) -> None:
    try:
        store.load(base, tiles, facts)
    finally:
        store.close()
