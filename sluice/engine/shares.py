"""Which shard an entity belongs to: a hash of its key that never changes, so that each entity has one writer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, key_hash, row_hashes
from sluice.engine.facts import to_tables
from sluice.engine.store import Fact
from sluice.engine.tiles import Id

Flags = NDArray[np.bool_]


def part_of(keys: pa.Array | pa.ChunkedArray, parts: int) -> Ints:
    """Which of so many parts each key belongs to; null to the one that its hash gives."""
    array = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
    return np.asarray(row_hashes([array]).view(np.uint64) % np.uint64(parts), np.int64)


def shard_of(key: Id, shards: int) -> int:
    """`part_of` of one key."""
    return key_hash(key) % shards


@dataclass(frozen=True)
class Share:
    """The entities of one shard of several."""

    number: int
    of: int

    def rows(self, table: pa.Table) -> pa.Table:
        """The rows of a table whose `key` belongs to the shard."""
        return table.filter(pa.array(part_of(table.column("key"), self.of) == self.number))


def wanders(stream: Stream) -> bool:
    """Whether a later version of a told event may be about another event: its id does not say which one."""
    return stream.parent is not None and stream.parent[0] not in stream.id_columns


def entity_keys(pipeline: Pipeline, stream: Stream) -> tuple[str, ...]:
    """The columns of a stream whose values are entities of views: its own views', and those that take them from it."""
    found = [view.of for view in pipeline.windows if view.stream is stream]
    if stream is pipeline.events:
        found += [view.of for view in pipeline.windows if view.inherits_key]
    return tuple(dict.fromkeys(key for key in found if key in stream.columns))


def shards_of(pipeline: Pipeline, stream: Stream, events: pa.Table, shards: int) -> Flags:
    """Which shards have an entity of each encoded event: a row for each event, a column for each shard."""
    found = np.zeros((len(events), shards), bool)
    for key in entity_keys(pipeline, stream):
        column = events.column(key)
        named = np.flatnonzero(column.is_valid().to_numpy())
        found[named, part_of(column.take(pa.array(named)), shards)] = True
    return found


def needed(pipeline: Pipeline, facts: Sequence[Fact], shards: int) -> dict[Id, Flags]:
    """Which shards have an entity of any of the given versions, by the event that these are about."""
    found: dict[Id, Flags] = {}
    tables = to_tables(pipeline, facts)
    for stream in pipeline.streams:
        mine = [fact for fact in facts if fact.stream == stream.name]
        for fact, here in zip(mine, shards_of(pipeline, stream, tables[stream.name], shards), strict=True):
            held = found.get(fact.anchor)
            found[fact.anchor] = here if held is None else held | here
    return found
