"""Two routers and two folds over four partitions of a real broker: whoever dies, the bytes of an undisturbed run."""

from __future__ import annotations

import random
import signal
import zlib
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from sluice.engine.facts import encoded_schema
from sluice.engine.places import open_store
from sluice.engine.store import MemoryStore
from sluice.stream.fold import FoldConsumer
from sluice.stream.loading import load_spread
from sluice.stream.memory import MemoryTopics
from tests.redis_server import RedisServer
from tests.sluice.stream.broker import Broker
from tests.sluice.stream.crews import KINDS, PARTITIONS, Crews, Site
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.runs import PATIENCE_S, wait_for
from tests.sluice.stream.workers import LOST

pytestmark = pytest.mark.integration

SIZE = 2_400


@pytest.fixture
def site(tmp_path: Path, broker: Broker, online: str, request: pytest.FixtureRequest) -> Site:
    """A pipeline named after the test, with topics in four partitions."""
    return Site.make(tmp_path, broker.bootstrap, f"c{zlib.crc32(request.node.name.encode()):08x}", online)


def test_workers_that_die_or_pause_or_lose_the_broker_leave_the_bytes_of_one_consumer(
    site: Site, broker: Broker, lone_seed: int
) -> None:
    chance, topics, messages = random.Random(lone_seed), MemoryTopics(partitions=PARTITIONS), feed(lone_seed, SIZE)
    with Crews(site) as crews:
        site.produce(messages[:800], topics)
        for kind in chance.sample(KINDS, 2):
            target = chance.randrange(1, 3_000)
            crews.wait_for(lambda target=target: site.known() >= target)
            crews.kill(kind, chance.randrange(2))
        broker.down()
        broker.up()
        site.produce(messages[800:1_600], topics)
        crews.wait_for(lambda: site.knows_all(topics))

        crews.tend()
        paused = [crews.pause(kind, 0) for kind in KINDS]
        site.produce(messages[1_600:], topics)
        # nobody follows the paused ones: who takes over a router sends its last parcels again
        wait_for(lambda: site.knows_all(topics))
        before = (site.contents(), site.parcels())

        for worker in paused:
            worker.process.send_signal(signal.SIGCONT)
        assert [worker.process.wait(timeout=PATIENCE_S) for worker in paused] == [LOST, LOST]
        assert (site.contents(), site.parcels()) == before
        crews.stop()

    assert "was expected" in site.log("route")
    assert "was expected" in site.log("fold")
    assert_like_one_consumer(site, topics)


def test_workers_wait_for_a_redis_that_dies_and_go_back_with_what_it_lost(
    tmp_path: Path, broker: Broker, redis_server: RedisServer, lone_seed: int
) -> None:
    site = Site.make(tmp_path, broker.bootstrap, f"r{lone_seed:08x}", redis_server.url)
    topics, messages = MemoryTopics(partitions=PARTITIONS), feed(lone_seed, SIZE)
    with ExitStack() as stack:
        workers = [stack.enter_context(site.worker(kind)) for kind in KINDS]
        site.produce(messages[:800], topics)
        wait_for(lambda: site.known() >= 800)
        redis_server.save(tmp_path / "before")
        wait_for(lambda: site.knows_all(topics))
        redis_server.kill()
        site.produce(messages[800:1_600], topics)
        redis_server.up()
        wait_for(lambda: site.knows_all(topics))
        redis_server.restore(tmp_path / "before")
        site.produce(messages[1_600:], topics)
        wait_for(lambda: site.knows_all(topics))
        assert [worker.stop() for worker in workers] == [0, 0]

    assert "the worker waits, and goes on from the positions" in site.log("route")
    assert "the worker waits, and goes on from the positions" in site.log("fold")
    assert_like_one_consumer(site, topics)


def test_workers_do_not_go_on_with_a_redis_that_came_back_without_its_base(
    tmp_path: Path, broker: Broker, redis_server: RedisServer
) -> None:
    site = Site.make(tmp_path, broker.bootstrap, "lostbase", redis_server.url)
    redis_server.save(tmp_path / "before")
    nothing = {stream.name: encoded_schema(stream).empty_table() for stream in site.pipeline.streams}
    load_spread(site.pipeline, partial(open_store, redis_server.url), site.spread, 7, {}, nothing)
    topics = MemoryTopics(partitions=PARTITIONS)
    with ExitStack() as stack:
        router, fold = (stack.enter_context(site.worker(kind)) for kind in KINDS)
        site.produce(feed(35, 100), topics)
        wait_for(lambda: site.knows_all(topics))
        redis_server.restore(tmp_path / "before")
        site.produce(feed(36, 100), topics)
        assert router.process.wait(timeout=PATIENCE_S) == LOST
        # the next one begins anew, and what it says shows the fold that its store is another
        stack.enter_context(site.worker("route"))
        assert fold.process.wait(timeout=PATIENCE_S) == LOST
    assert "came back from load ''" in site.log("route")
    assert "came back from load ''" in site.log("fold")


def assert_like_one_consumer(site: Site, topics: MemoryTopics) -> None:
    """Every (view, entity) has the bytes that one consumer of all partitions writes, in one shard."""
    whole = MemoryStore()
    records = [record for held in topics.records.values() for record in held]
    FoldConsumer(site.pipeline, whole, site.bootstrap).fold(records, {})
    assert whole._chunks
    assert site.tiles() == (whole._heads, whole._chunks)
