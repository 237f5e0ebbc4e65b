"""The stores that tests are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sluice.engine.places import open_store
from sluice.engine.store import TileStore
from tests.redis_server import RedisServer
from tests.sluice.engine.stores import Opened, OpenRedis, memory, redis, sqlite

if TYPE_CHECKING:
    from redis import Redis


@pytest.fixture(scope="session")
def opened(request: pytest.FixtureRequest) -> Opened:
    """What opens an empty store of the kind that `every_store` names."""
    if request.param == "redis":
        return redis(request.getfixturevalue("running_redis"))
    return {"memory": memory, "sqlite": sqlite}[request.param]


@pytest.fixture
def open_(redis_server: RedisServer) -> Iterator[OpenRedis]:
    """Opens the shop's store in Redis, as often as it is asked."""
    stores: list[TileStore] = []

    def open_(*, read_only: bool = False) -> TileStore:
        stores.append(open_store(redis_server.url, "shop", read_only=read_only))
        return stores[-1]

    yield open_
    for store in stores:
        store.close()


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[Redis]:
    """A client of the same Redis."""
    from redis import Redis

    with Redis.from_url(redis_server.url) as client:
        yield client
