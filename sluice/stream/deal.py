"""Dealing: which shards are told of the events of a batch.

An event goes to the shard of every entity that any version of it names, with all that is kept about it: so a shard
knows everything that decides what its entities are, also when a correction moves an event to another one. What is told
about an event that has not come waits for it. What is told under an id of its own may speak of another event in its
next version, which another router would read: it goes to all shards, and need not be kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.facts import encoded_schema, to_facts, to_tables
from sluice.engine.fold import fresh_of
from sluice.engine.shares import needed, wanders
from sluice.engine.store import Fact, TileStore


@dataclass(frozen=True)
class Dealt:
    """What a router keeps of a batch, what each shard is told by stream, and which of the kept nobody was told."""

    kept: Sequence[Fact]
    shards: Sequence[Mapping[str, pa.Table]]
    waiting: Sequence[Fact]


def deal(pipeline: Pipeline, store: TileStore, events: Mapping[str, pa.Table], shards: int) -> Dealt:
    """Deal encoded events, by stream, beside what the router's store keeps about the same."""
    tables = {name: _encoded(pipeline, name, table) for name, table in events.items()}
    told_to_all = {name: table for name, table in tables.items() if wanders(pipeline.stream(name))}
    arrived = [
        fact
        for name, table in tables.items()
        if name not in told_to_all
        for fact in to_facts(pipeline.stream(name), table)
    ]
    before = store.facts([fact.anchor for fact in arrived])
    fresh = fresh_of(before, arrived)
    told, concerned = needed(pipeline, before, shards), needed(pipeline, fresh, shards)
    nobody = np.zeros(shards, bool)
    boxes: list[list[Fact]] = [[] for _ in range(shards)]
    for fact in before:
        # what these shards were told of the event before, they need not be told again
        news = concerned.get(fact.anchor, nobody) & ~told[fact.anchor]
        _put(boxes, fact, news)
    for fact in fresh:
        _put(boxes, fact, concerned[fact.anchor] | told.get(fact.anchor, nobody))
    waiting = [fact for fact in fresh if not (concerned[fact.anchor] | told.get(fact.anchor, nobody)).any()]
    return Dealt(fresh, [_tables(pipeline, box, told_to_all) for box in boxes], waiting)


def _encoded(pipeline: Pipeline, name: str, table: pa.Table) -> pa.Table:
    schema = encoded_schema(pipeline.stream(name))
    return table.select(schema.names).cast(schema)


def _put(boxes: Sequence[list[Fact]], fact: Fact, shards: np.ndarray) -> None:
    for shard in np.flatnonzero(shards).tolist():
        boxes[shard].append(fact)


def _tables(pipeline: Pipeline, facts: Sequence[Fact], told_to_all: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    found = {**to_tables(pipeline, facts), **told_to_all}
    return {name: table for name, table in found.items() if len(table)}
