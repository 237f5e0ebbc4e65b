"""Whatever is killed at whatever point of a replay: the tiles of a run that nobody disturbed, to the bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sluice.stream.memory import MemoryTopics
from tests.redis_server import RedisServer
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.chaos import HANDBOOK, LEAF, MOST, PARTITIONS, Chaos, Tiles, book, undisturbed
from tests.sluice.stream.crews import Site

SIZE = 200_000
RUNS = 20


@dataclass(frozen=True)
class Replay:
    """Topics with the whole replay, and the tiles that one consumer makes of it."""

    site: Site
    topics: MemoryTopics
    expected: Tiles


@pytest.fixture(scope="module")
def replay(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Replay:
    """The replay in the topics of the broker; its stores are each test's own."""
    folder = tmp_path_factory.mktemp("replay")
    bootstrap = broker.bootstrap
    site = Site.make(folder, bootstrap, "book", "", like=HANDBOOK, leaf=LEAF, partitions=PARTITIONS, most=MOST)
    topics = MemoryTopics(partitions=PARTITIONS)
    site.produce(book(SIZE), topics)
    expected = undisturbed(site, topics)
    assert {name[0] for name in expected[1]} == {"customer", "terminal"}, "both views have chunks"
    return Replay(site, topics, expected)


@pytest.fixture
def redis(online: str, request: pytest.FixtureRequest) -> Iterator[RedisServer | None]:
    """The Redis of the online store, if it is in one; it runs again afterwards."""
    if not online.startswith("redis"):
        yield None
        return
    server: RedisServer = request.getfixturevalue("redis_server")
    yield server
    server.up()


@dataclass(frozen=True)
class Disturbed:
    """One run of the replay, in stores of its own."""

    replay: Replay
    broker: Broker
    redis: RedisServer | None
    online: str
    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, seed: int) -> list[object]:
        """The names of the heads and chunks whose bytes are not as expected; the seed and what happened are printed."""
        site = replace(self.replay.site, folder=self.folder, online=self.online)
        site.forget_parcels()
        happened = Chaos(site, self.replay.topics, self.broker, self.redis, random.Random(seed)).run()
        with self.capsys.disabled():
            print(f"\nSLUICE_TEST_SEED={seed}, {self.online.partition(':')[0]}: {', '.join(happened)}")  # noqa: T201 for the log
        return [
            name
            for found, expected in zip(site.tiles(), self.replay.expected, strict=True)
            for name in found.keys() | expected.keys()
            if found.get(name) != expected.get(name)
        ]


@pytest.fixture
def disturbed(
    replay: Replay,
    broker: Broker,
    redis: RedisServer | None,
    online: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Disturbed:
    """A run on each kind of store."""
    return Disturbed(replay, broker, redis, online, tmp_path, capsys)


@pytest.mark.integration
def test_whatever_is_killed_and_whenever_the_tiles_are_those_of_an_undisturbed_run(
    disturbed: Disturbed, lone_seed: int
) -> None:
    assert disturbed.run(lone_seed) == []


@pytest.mark.soak
@pytest.mark.parametrize("run", range(RUNS))
def test_it_stays_so_over_many_runs(disturbed: Disturbed, lone_seed: int, run: int) -> None:
    assert disturbed.run(lone_seed) == [], f"run {run}"
