"""Routers and folds of a divided pipeline in memory, run in any order, stopped anywhere, and started again."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.shards import Shards, Spread
from sluice.engine.store import LostPartition, MemoryStore
from sluice.stream.fold import FoldConsumer
from sluice.stream.gather import ShardFold
from sluice.stream.loading import load_spread
from sluice.stream.memory import MemoryRecord, MemoryTopics
from sluice.stream.router import Router
from sluice.stream.topics import stream_topic
from tests.sluice.stream.feeds import Message, send


class PowerCut(Exception):
    """The process ends in the middle of what it does."""


@dataclass
class Cut:
    """Sends records on to topics until so many are sent."""

    topics: MemoryTopics
    left: int

    def send(self, topic: str, payload: bytes, **how: Any) -> None:
        if self.left == 0:
            raise PowerCut
        self.left -= 1
        self.topics.send(topic, payload, **how)

    def flush(self) -> None:
        """Everything is stored already."""


@dataclass
class Plant:
    """A pipeline in several partitions, its stores by name, and chance."""

    pipeline: Pipeline
    spread: Spread
    chance: random.Random
    stores: dict[str, MemoryStore] = field(default_factory=dict)
    topics: MemoryTopics = field(init=False)
    """What is produced."""
    told: MemoryTopics = field(default_factory=MemoryTopics)
    """What the routers tell the shards."""
    routers: dict[int, Router] = field(default_factory=dict)
    folds: dict[int, ShardFold] = field(default_factory=dict)
    former: list[Router | ShardFold] = field(default_factory=list)
    """Owners that were replaced, and do not know it."""

    def __post_init__(self) -> None:
        self.topics = MemoryTopics(partitions=self.spread.partitions)

    @property
    def shards(self) -> list[MemoryStore]:
        return [self.store(self.spread.shard(self.pipeline.name, number)) for number in range(self.spread.shards)]

    @property
    def reader(self) -> Shards:
        return Shards(self.shards)

    @property
    def sources(self) -> dict[str, list[MemoryRecord]]:
        """The records of the streams' topics."""
        names = [stream_topic(self.pipeline.name, stream.name) for stream in self.pipeline.streams]
        return {name: self.topics.records.get(name, []) for name in names}

    def produce(self, messages: Sequence[Message]) -> None:
        send(self.pipeline, self.topics, messages)

    def store(self, name: str) -> MemoryStore:
        return self.stores.setdefault(name, MemoryStore())

    def route(self, number: int, most: int = 10**6) -> None:
        """Route some of what waits, its topics in any order; an owner that lost to a former one is replaced."""
        router = self.router(number)
        try:
            router.take(self._any(self._waiting(self.sources, router), most))
        except LostPartition:
            self.routers.pop(number)
            self.route(number, most)

    def fold(self, number: int, most: int = 10**6) -> None:
        """Fold some of the parcels that wait; an owner that lost to a former one is replaced."""
        fold = self.folder(number)
        try:
            fold.take(self._waiting(self.told.records, fold)[:most])
        except LostPartition:
            self.folds.pop(number)
            self.fold(number, most)

    def router(self, number: int, sender: Any = None) -> Router:
        if number not in self.routers:
            store = self.store(self.spread.router(self.pipeline.name, number))
            self.routers[number] = Router(self.pipeline, store, sender or self.told, self.spread, number)
        return self.routers[number]

    def folder(self, number: int) -> ShardFold:
        if number not in self.folds:
            store = self.store(self.spread.shard(self.pipeline.name, number))
            self.folds[number] = ShardFold(self.pipeline, store, self.spread, number)
        return self.folds[number]

    def cut_off(self, number: int) -> None:
        """A router that dies while it sends, and then once more at its start."""
        for _ in range(2):
            self.routers.pop(number, None)
            try:
                sender = Cut(self.told, self.chance.randrange(self.spread.shards + 1))
                router = self.router(number, sender)
                router.take(self._any(self._waiting(self.sources, router), 20))
            except PowerCut:
                continue
            finally:
                self.routers.pop(number, None)

    def replace(self, held: dict[int, Any], number: int) -> None:
        """Another owner takes over, and the former one has not heard of it."""
        if number in held:
            self.former.append(held.pop(number))

    def wake(self) -> None:
        """A former owner goes on; if another has moved its partition, it loses, and changes nothing."""
        if not self.former:
            return
        owner = self.former.pop(self.chance.randrange(len(self.former)))
        before = copy.deepcopy((owner.store, self.told))
        topics = self.sources if isinstance(owner, Router) else self.told.records
        try:
            owner.take(self._any(self._waiting(topics, owner), 30))
        except LostPartition:
            assert (owner.store, self.told) == before

    def set_back(self, kept: dict[str, MemoryStore]) -> None:
        """A store is as it was some time ago, as from a backup; who owns it starts again."""
        name = self.chance.choice(sorted(kept))
        self.stores[name] = copy.deepcopy(kept[name])
        self.routers.clear()
        self.folds.clear()
        self.former.clear()

    def load(self, base: int, tiles: Mapping[str, pa.Table], events: Mapping[str, pa.Table]) -> None:
        """Start every store from a base; the owners have not heard of it."""
        load_spread(self.pipeline, self.store, self.spread, base, tiles, events)
        self.former += [*self.routers.values(), *self.folds.values()]
        self.routers, self.folds = {}, {}

    def drain(self) -> None:
        """Route and fold everything."""
        for number in range(self.spread.partitions):
            self.route(number)
        for number in range(self.spread.shards):
            self.fold(number)

    def whole(self, store: MemoryStore) -> MemoryStore:
        """A store after one consumer has read all partitions."""
        records = [record for held in self.sources.values() for record in held]
        FoldConsumer(self.pipeline, store, bootstrap="").fold(records, {})
        return store

    def _waiting(self, topics: dict[str, list[MemoryRecord]], owner: Router | ShardFold) -> list[MemoryRecord]:
        """The records that an owner has not dealt with, after a few that it has."""
        found = []
        for topic, number in owner.sources:
            again = self.chance.choice([0, 0, 3])
            begin = (owner.offset((topic, number)) or 0) - again
            found += [one for one in topics.get(topic, []) if one.partition == number and one.offset >= begin]
        return found

    def _any(self, records: list[MemoryRecord], most: int) -> list[MemoryRecord]:
        """Some of these records, those of each topic in their order."""
        limits: dict[str, int] = {}
        for record in records:
            limits.setdefault(record.topic, self.chance.randrange(most + 1) if most < 10**6 else most)
        kept: dict[str, int] = dict.fromkeys(limits, 0)
        found = []
        for record in records:
            if kept[record.topic] < limits[record.topic]:
                kept[record.topic] += 1
                found.append(record)
        return found


def merged(stores: Sequence[MemoryStore], part: Callable[[MemoryStore], dict[Any, bytes]]) -> dict[Any, bytes]:
    """The heads or chunks of several stores; no two have the same one."""
    found: dict[Any, bytes] = {}
    for store in stores:
        mine = {name: body for name, body in part(store).items() if not name[0].startswith("#")}
        assert not found.keys() & mine.keys()
        found |= mine
    return found
