"""With the online store in Redis: whatever becomes of it, and of the fold, each event has its effect once."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from sluice.engine.store import Knowledge
from sluice.stream.memory import MemoryTopics
from tests.redis_server import RedisServer
from tests.sluice.engine.stores import Contents, contents
from tests.sluice.stream.feeds import feed
from tests.sluice.stream.runs import (
    KILLS,
    PATIENCE_S,
    SIZE,
    everything,
    finish,
    folded,
    produced,
    undisturbed,
    wait_for,
)
from tests.sluice.stream.workers import LOST, Place

pytestmark = pytest.mark.integration


@pytest.fixture
def shared(place: Place, redis_server: RedisServer) -> Place:
    """The place of the test with its online store in Redis."""
    return place.with_store(redis_server.url)


def test_a_fold_goes_on_whenever_its_redis_is_killed_and_comes_back(
    shared: Place, redis_server: RedisServer, seed: int
) -> None:
    topics, chance = produced(shared, feed(seed, SIZE)), random.Random(seed)
    total = sum(map(len, topics.records.values()))

    with shared.worker("fold") as worker:
        for target in sorted(chance.sample(range(1, total), KILLS)):
            wait_for(lambda target=target: folded(shared) >= target)
            time.sleep(chance.random() * 0.1)
            redis_server.kill()
            time.sleep(chance.choice([0, chance.random()]))
            redis_server.up()
        wait_for(lambda: folded(shared) == total)
        assert worker.stop() == 0

    found = everything(shared)[0]
    assert found == undisturbed(shared, topics)
    assert found.chunks


def test_a_fold_goes_back_with_a_redis_that_lost_its_last_batches(
    shared: Place, redis_server: RedisServer, tmp_path: Path
) -> None:
    topics, messages = MemoryTopics(), feed(25, 1_000)
    produced(shared, messages[:500], topics)
    with shared.worker("fold") as worker:
        wait_for(lambda: folded(shared) == 500)
        redis_server.save(tmp_path / "before")
        produced(shared, messages[500:], topics)
        wait_for(lambda: folded(shared) == 1_000)
        redis_server.restore(tmp_path / "before")
        # nothing is asked of Redis while it is away, so that only the next batch finds it out
        assert folded(shared) == 500
        produced(shared, feed(26, 10), topics)
        wait_for(lambda: folded(shared) == 1_010)
        assert worker.stop() == 0

    assert everything(shared)[0] == undisturbed(shared, topics)
    assert "Redis has lost its last changes" in shared.log("fold")


def test_a_fold_does_not_go_on_with_a_redis_that_came_back_without_its_base(
    shared: Place, redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.save(tmp_path / "before")
    store = shared.store()
    store.load(7, [], [])
    store.close()
    produced(shared, feed(33, 100))
    with shared.worker("fold") as worker:
        wait_for(lambda: folded(shared) == 100)
        redis_server.restore(tmp_path / "before")
        produced(shared, feed(34, 10))
        assert worker.process.wait(timeout=PATIENCE_S) == LOST
    assert "the store came back with base -1, and had base 7" in shared.log("fold")


def test_a_paused_fold_that_was_overtaken_loses_and_writes_nothing(shared: Place) -> None:
    topics = produced(shared, feed(31, 200))
    with shared.worker("fold") as first:
        wait_for(lambda: folded(shared) == 200)
        first.process.send_signal(signal.SIGSTOP)
        produced(shared, feed(32, 100), topics)
        finish(shared, "fold", lambda: folded(shared) == 300)
        first.process.send_signal(signal.SIGCONT)
        assert first.process.wait(timeout=PATIENCE_S) == LOST

    assert everything(shared)[0] == undisturbed(shared, topics)
    assert "was expected" in shared.log("fold")


def test_a_fold_that_starts_without_its_redis_says_so(place: Place) -> None:
    with place.with_store("redis://:secret@127.0.0.1:1/0").worker("fold") as worker:
        assert worker.process.wait(timeout=PATIENCE_S) == LOST
    assert "redis://127.0.0.1:1/0: Redis does not answer" in place.log("fold")
    assert "secret" not in place.log("fold")


def test_a_fold_that_waits_for_its_redis_ends_when_it_is_told(shared: Place, redis_server: RedisServer) -> None:
    produced(shared, feed(27, 100))
    with shared.worker("fold") as worker:
        wait_for(lambda: folded(shared) == 100)
        redis_server.kill()
        try:
            produced(shared, feed(28, 10))
            wait_for(lambda: "Redis does not answer" in shared.log("fold"))
            assert worker.stop() == 0
        finally:
            redis_server.up()


def test_a_fold_whose_store_was_loaded_anew_ends(shared: Place) -> None:
    produced(shared, feed(29, 100))
    with shared.worker("fold") as worker:
        wait_for(lambda: folded(shared) == 100)
        store = shared.store()
        store.load(7, [], [])
        produced(shared, feed(30, 10))
        assert worker.process.wait(timeout=PATIENCE_S) == LOST
        assert contents(store) == Contents({}, {}, set(), Knowledge(7, {}))
        store.close()
    assert "was expected" in shared.log("fold")
