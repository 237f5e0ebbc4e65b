"""A replica whose online store is in Redis: it answers whatever becomes of it, and takes it up again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from feature_repo.fraud import pipeline
from serve.routing import Model, Route, Routing
from serve.scoring import Parts, ScoringService
from sluice.clock import HandClock
from sluice.engine.places import open_store
from sluice.local.records import Records
from sluice.stream.predictions import MemoryLog
from tests.redis_server import RedisServer
from tests.serve.conftest import NOW, fill, payment
from tests.serve.test_scoring import results

pytestmark = pytest.mark.integration


@pytest.fixture
def replica(redis_server: RedisServer, log: MemoryLog, model: Callable[..., Model]) -> Iterator[ScoringService]:
    """A replica that reads a store with one payment in it."""
    store = open_store(redis_server.url, "fraud")
    fill(store, [payment(1, event_time="2025-12-31T10:00:00Z")])
    store.close()
    parts = Parts(lambda: open_store(redis_server.url, "fraud", read_only=True), lambda: log, HandClock(NOW))
    service = ScoringService(pipeline, parts)
    assert service.route(Routing({"*": Route(model())}))
    assert service.open()
    yield service
    service.close()


def test_answers_are_degraded_while_redis_is_away_and_whole_when_it_is_back(
    replica: ScoringService, redis_server: RedisServer
) -> None:
    assert results(replica, payment(7))[0]["degraded"] is False
    redis_server.kill()
    try:
        assert [results(replica, payment(at))[0]["degraded"] for at in (8, 9)] == [True, True]
        assert not replica.open()
        ready, state = replica.readiness()
        assert not ready
        assert "Redis does not answer" in state["missing"]
    finally:
        redis_server.up()
    assert replica.open()
    assert replica.readiness()[0]
    assert results(replica, payment(10))[0]["degraded"] is False


def test_of_a_redis_that_hangs_one_request_waits_and_the_others_do_not(
    replica: ScoringService, redis_server: RedisServer
) -> None:
    record = Records(redis_server.home).read("redis")
    assert record is not None
    assert record.pid is not None
    os.kill(record.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert results(replica, payment(7))[0]["degraded"] is True
        waited = time.monotonic()
        assert [results(replica, payment(at))[0]["degraded"] for at in range(8, 18)] == [True] * 10
        assert waited - begun < 3
        assert time.monotonic() - waited < 1
    finally:
        os.kill(record.pid, signal.SIGCONT)
    assert replica.open()
    assert results(replica, payment(20))[0]["degraded"] is False


def test_a_replica_waits_for_a_redis_that_holds_nothing_yet(
    redis_server: RedisServer, log: MemoryLog, model: Callable[..., Model]
) -> None:
    parts = Parts(lambda: open_store(redis_server.url, "fraud", read_only=True), lambda: log, HandClock(NOW))
    service = ScoringService(pipeline, parts)
    assert not service.open()
    assert "the online store is not there yet" in service.readiness()[1]["missing"]
    open_store(redis_server.url, "fraud").close()
    assert service.open()
    service.close()
