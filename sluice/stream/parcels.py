"""Parcels: what a router tells one shard of one batch, in one record, so that the shard takes in all of it or nothing.

A parcel has the events that can touch the shard's entities, encoded as the kernel counts them, and how far the router
has come with each topic's partition. A shard gets one of every batch, even if nothing in it is for its entities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline, hash_of
from sluice.engine.facts import encoded_schema
from sluice.engine.shares import entity_keys
from sluice.engine.store import Partition, Position

Columns = Mapping[str, Sequence[Any]]
"""Encoded events by column."""


@dataclass(frozen=True)
class Moved:
    """How far a batch moved a partition of a source: from which offset, and where it stands afterwards."""

    before: int
    after: Position


@dataclass(frozen=True)
class Parcel:
    """What a router tells one shard of one batch."""

    epoch: str
    """The name of the base that the router was started from."""
    meaning: str
    """`meaning_of` the pipeline as the router knows it."""
    moved: Mapping[Partition, Moved]
    events: Mapping[str, Columns] = field(default_factory=dict)
    """By stream."""

    def packed(self) -> bytes:
        """The bytes of a record."""
        moved = [[*place, one.before, *one.after] for place, one in self.moved.items()]
        return orjson.dumps({"epoch": self.epoch, "meaning": self.meaning, "moved": moved, "events": self.events})

    def tables(self, pipeline: Pipeline) -> dict[str, pa.Table]:
        """The events of each stream that has any."""
        return {name: pa.table(columns, encoded_schema(pipeline.stream(name))) for name, columns in self.events.items()}


def read_parcel(body: bytes) -> Parcel:
    """A parcel from its bytes."""
    found = orjson.loads(body)
    moved = {(topic, partition): Moved(before, Position(*after)) for topic, partition, before, *after in found["moved"]}
    return Parcel(found["epoch"], found["meaning"], moved, found["events"])


def meaning_of(pipeline: Pipeline, shards: int) -> str:
    """The hash of what routers and shards must agree on: what an event is, and which shards it concerns."""
    streams = {stream.name: [stream.describe(), entity_keys(pipeline, stream)] for stream in pipeline.streams}
    return hash_of({"streams": streams, "shards": shards})
