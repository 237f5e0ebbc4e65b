"""What the rooms of the library share: one Redis for their tests, empty for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def _running_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.up()
    yield server
    server.down()


@pytest.fixture
def redis_server(_running_redis: RedisServer) -> RedisServer:
    """A redis-server that holds nothing yet; its `url` is what `SLUICE_ONLINE` would say. For integration tests."""
    _running_redis.empty()
    return _running_redis
