"""A replay of the Handbook through routers and folds, while whatever can be killed is killed at random points."""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sluice.engine.store import MemoryStore, Partition, Position
from sluice.local.own_files import LiveDays
from sluice.stream.fold import FoldConsumer
from sluice.stream.memory import MemoryTopics
from tests.redis_server import RedisServer
from tests.sluice.engine.book import book_folder
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.crews import KINDS, SESSION_MS, Crews, Kind, Site
from tests.sluice.stream.feeds import Message

FIRST = 1_522_540_800_000_000
"""2018-04-01 00:00 UTC, where the Handbook begins."""
PARTITIONS, MOST = 4, 1_000
LEAF = 16
"""Events of an entity stored together: few, because in these weeks no customer has as many as are by default."""
BATCH = 10_000
"""Records that the undisturbed consumer takes at once."""
ROUNDS = 2
"""How often each thing is killed."""
LAST = 0.9
"""The part of the replay in which things happen."""
HANDBOOK = Path(__file__).parents[3] / "feature_repo" / "handbook.py"

Tiles = tuple[dict[Any, bytes], dict[Any, bytes]]


def book(size: int) -> list[Message]:
    """The first transactions and labels of the Handbook, as they became known."""
    days = LiveDays("handbook", (("transactions", str(book_folder() / "transactions.parquet")),), FIRST)
    messages = itertools.islice(days.between(0, 200), size)
    return [Message(message.stream, message.payload, message.arrival) for message in messages]


def undisturbed(site: Site, topics: MemoryTopics) -> Tiles:
    """The heads and chunks after one consumer has read everything."""
    store, positions = MemoryStore(), dict[Partition, Position]()
    consumer = FoldConsumer(site.pipeline, store, "")
    for records in topics.records.values():
        for begin in range(0, len(records), BATCH):
            positions = consumer.fold(records[begin : begin + BATCH], positions)
    return store._heads, store._chunks


@dataclass
class Chaos:
    """The workers of a site, what they stand on, and chance."""

    site: Site
    topics: MemoryTopics
    broker: Broker
    redis: RedisServer | None
    chance: random.Random

    def run(self) -> list[str]:
        """Disturb the replay at random points, and let it come to its end; what was done, in its order."""
        done = []
        with Crews(self.site) as crews:
            happens = self._happens(crews)
            for point, (name, disturb) in zip(self._points(len(happens)), happens, strict=True):
                crews.wait_for(lambda point=point: self.site.known() >= point)
                time.sleep(self.chance.random() * 0.2)
                disturb()
                done.append(name)
            crews.wait_for(lambda: self.site.knows_all(self.topics))
            crews.stop()
        return done

    def _points(self, count: int) -> list[int]:
        """When something happens, in records that the shards know together."""
        whole = sum(map(len, self.topics.records.values())) * PARTITIONS
        return sorted(self.chance.sample(range(1, int(whole * LAST)), count))

    def _happens(self, crews: Crews) -> list[tuple[str, Callable[[], None]]]:
        kinds: list[tuple[str, Callable[[], None]]] = [
            ("kill the broker", self._kill_broker),
            *((f"kill a {kind}", partial(self._kill, crews, kind)) for kind in KINDS),
        ]
        if self.redis is not None:
            kinds.append(("kill Redis", self._kill_redis))
        paused = self.chance.choice(KINDS)
        found = [*(kinds * ROUNDS), (f"pause a {paused}", partial(self._pause, crews, paused))]
        self.chance.shuffle(found)
        return found

    def _kill(self, crews: Crews, kind: Kind) -> None:
        crews.kill(kind, self.chance.randrange(2))

    def _kill_broker(self) -> None:
        self.broker.kill()
        self.broker.up()

    def _kill_redis(self) -> None:
        assert self.redis is not None
        self.redis.kill()
        time.sleep(self.chance.choice([0, self.chance.random()]))
        self.redis.up()

    def _pause(self, crews: Crews, kind: Kind) -> None:
        """Pause a worker until others have its partitions, whatever it was in the middle of; then let it go on."""
        crews.tend()
        worker = crews.pause(kind, self.chance.randrange(2))
        until = time.monotonic() + SESSION_MS / 1000 + 2
        crews.wait_for(lambda: time.monotonic() > until)
        worker.process.send_signal(signal.SIGCONT)
        crews.workers[kind].append(worker)
