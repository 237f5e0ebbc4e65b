"""Routers and folds of a divided pipeline as processes of their own, which a test may kill or pause at any moment.

Called as `python -m tests.sluice.stream.crews KIND PIPELINE FOLDER BOOTSTRAP ONLINE MOST NUMBER …`: those of the
command line, but with small batches and short sessions, so that there are many moments to be stopped in.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, Self

from kafka import KafkaAdminClient, TopicPartition

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.places import open_store
from sluice.engine.shards import OWN, Spread, of_sources
from sluice.engine.store import Partition, TileStore
from sluice.errors import Outage
from sluice.stream.division import Division
from sluice.stream.memory import MemoryTopics
from sluice.stream.producer import Producer
from sluice.stream.subscription import Subscription
from sluice.stream.topics import create_topics, entity_topic, spread_of_topics
from tests.sluice.engine.stores import Contents, contents
from tests.sluice.stream.feeds import Message, send
from tests.sluice.stream.workers import LOST, ROOT, Worker

Kind = Literal["route", "fold"]
KINDS: tuple[Kind, ...] = ("route", "fold")
MOST = 40
LEAF = 64
"""Events of an entity stored together; the busy ones of a test have more, and so chunks."""
SESSION_MS = 6_000
"""The least that the broker allows."""
PARTITIONS = 4
PAYMENTS = Path(__file__).with_name("payments.py")


@dataclass(frozen=True)
class Site:
    """A pipeline under a name of its own, its topics in several partitions, a folder, and where its stores are."""

    folder: Path
    bootstrap: str
    file: Path
    pipeline: Pipeline
    online: str
    """The URI of the online store."""
    spread: Spread
    most: int
    """The most records of a batch."""

    @classmethod
    def make(
        cls,
        folder: Path,
        bootstrap: str,
        name: str,
        online: str,
        *,
        like: Path = PAYMENTS,
        leaf: int = LEAF,
        partitions: int = PARTITIONS,
        most: int = MOST,
    ) -> Self:
        """A fresh site with topics, for a pipeline like that of a file, which is named as the file is."""
        file = folder / f"{name}.py"
        named = like.read_text().replace(f'    "{like.stem}",\n    views', f'    "{name}",\n    views')
        file.write_text(named.replace("over=", f"leaf={leaf}, over="))
        pipeline = load_pipeline(str(file))
        create_topics(bootstrap, pipeline, partitions)
        return cls(folder, bootstrap, file, pipeline, online, Spread(partitions, partitions), most)

    def positions(self) -> list[dict[Partition, int]]:
        """The next offset of each source that each shard knows; of a shard that is just being made, or away, none."""
        return [self._read(name, _offsets, {}) for name in self._shards]

    def contents(self) -> dict[str, Contents]:
        """Everything in the stores of the routers and shards."""
        routers = [self.spread.router(self.pipeline.name, number) for number in range(self.spread.partitions)]
        return {name: self._read(name, contents, None) for name in [*routers, *self._shards]}

    def known(self) -> int:
        """How many records the shards know, each counted for every shard."""
        return sum(sum(positions.values()) for positions in self.positions())

    def knows_all(self, topics: MemoryTopics) -> bool:
        """Whether every shard knows everything that was produced."""
        ends = {(one.topic, one.partition): one.offset + 1 for held in topics.records.values() for one in held}
        return all(positions == ends for positions in self.positions())

    def parcels(self) -> dict[Partition, int]:
        """Where the partitions end in which the routers tell the shards."""
        with Subscription(self.bootstrap, [entity_topic(self.pipeline.name)], lambda _: None) as subscription:
            return subscription.ends()

    def forget_parcels(self) -> None:
        """Cut off what the routers have said so far, for stores that begin anew."""
        ends = {TopicPartition(*place): end for place, end in self.parcels().items() if end}
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            admin.delete_records(ends)
        finally:
            admin.close()

    def produce(self, messages: Sequence[Message], topics: MemoryTopics) -> None:
        """Produce messages to Kafka, and to the twin in memory."""
        send(self.pipeline, topics, messages)
        with Producer(self.bootstrap) as producer:
            send(self.pipeline, producer, messages)

    def tiles(self) -> tuple[dict[Any, bytes], dict[Any, bytes]]:
        """The heads and chunks of all shards; no two have the same one."""
        heads: dict[Any, bytes] = {}
        chunks: dict[Any, bytes] = {}
        for name in self._shards:
            held = self._read(name, contents, None)
            mine = {named: body for named, body in held.heads.items() if not named[0].startswith(OWN)}
            assert not heads.keys() & mine.keys()
            assert not chunks.keys() & held.chunks.keys()
            heads |= mine
            chunks |= held.chunks
        return heads, chunks

    def log(self, kind: Kind) -> str:
        """What the workers have said."""
        path = self.folder / f"{kind}.log"
        return path.read_text() if path.exists() else ""

    def worker(self, kind: Kind, numbers: Iterable[int] = ()) -> Worker:
        """Start a worker that owns some partitions, or those that the group gives it."""
        where = [str(self.file), str(self.folder), self.bootstrap, self.online, str(self.most)]
        command = [sys.executable, "-m", "tests.sluice.stream.crews", kind, *where, *map(str, numbers)]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return Worker(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log), self.folder)

    @property
    def _shards(self) -> list[str]:
        return [self.spread.shard(self.pipeline.name, number) for number in range(self.spread.shards)]

    def _read(self, name: str, reading: Callable[[TileStore], Any], nothing: Any) -> Any:
        try:
            with closing(open_store(self.online, name, read_only=True)) as store:
                return reading(store)
        except (Outage, sqlite3.OperationalError):
            return nothing


@dataclass
class Crews:
    """Two routers and two folds of a site that share its partitions; one that is gone is followed by another."""

    site: Site
    workers: dict[Kind, list[Worker]] = field(default_factory=dict)
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.workers = {kind: [] for kind in KINDS}
        self.tend()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def tend(self) -> None:
        """Start a worker for each that is gone; one that ended by itself had lost its partition or its broker."""
        for kind, workers in self.workers.items():
            for worker in list(workers):
                code = worker.process.poll()
                assert code in {None, LOST}, f"a worker ended with {code}"
                if code is not None:
                    workers.remove(worker)
            workers += [self._stack.enter_context(self.site.worker(kind)) for _ in range(2 - len(workers))]

    def kill(self, kind: Kind, which: int) -> None:
        """Kill a worker in the middle of what it does."""
        self.tend()
        self.workers[kind].pop(which).kill()
        self.tend()

    def pause(self, kind: Kind, which: int) -> Worker:
        """Stop a worker in the middle of what it does; from now on it is not looked after."""
        worker = self.workers[kind].pop(which)
        worker.process.send_signal(signal.SIGSTOP)
        return worker

    def wait_for(self, condition: Callable[[], bool], patience_s: float = 600) -> None:
        """Look after the workers until something is so."""
        deadline = time.monotonic() + patience_s
        while not condition():
            assert time.monotonic() < deadline, f"it does not come to that: {self.site.positions()}"
            self.tend()
            time.sleep(0.05)

    def stop(self) -> None:
        """Let all of them end."""
        for worker in itertools.chain.from_iterable(self.workers.values()):
            assert worker.stop() in {0, LOST}


def _offsets(store: TileStore) -> dict[Partition, int]:
    return {place: at.offset for place, at in of_sources(store.read([]).knowledge).positions.items()}


def main(kind: str, file: str, folder: str, bootstrap: str, online: str, most: str, *numbers: str) -> None:
    """Run one worker until SIGTERM."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    pipeline = load_pipeline(file)
    (Path(folder) / str(os.getpid())).touch()
    spread = spread_of_topics(bootstrap, pipeline)
    division = Division(pipeline, spread, bootstrap, partial(open_store, online), int(most), SESSION_MS)
    run = division.route if kind == "route" else division.fold
    run([*map(int, numbers)], told.is_set)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Outage as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(LOST)
