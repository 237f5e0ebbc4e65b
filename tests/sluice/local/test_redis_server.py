"""What the embedded Redis promises: loopback, durable within a second, and run only when the online store is in it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from sluice.errors import UserError
from sluice.local.records import Records
from sluice.local.redis_server import options, program, redis_server
from sluice.settings import settings
from tests.redis_server import RedisServer


@pytest.fixture
def server(tmp_path: Path) -> RedisServer:
    return RedisServer(tmp_path / "home")


@pytest.mark.unit
def test_nothing_is_run_while_the_online_store_is_a_file() -> None:
    assert redis_server(settings()) is None


@pytest.mark.unit
@pytest.mark.parametrize(
    ("given", "address", "external"),
    [
        ({"SLUICE_ONLINE": "redis"}, "127.0.0.1:16390/0", False),
        ({"SLUICE_ONLINE": "redis", "SLUICE_REDIS_PORT": "20123"}, "127.0.0.1:20123/0", False),
        ({"SLUICE_ONLINE": "redis://127.0.0.1:16390/0"}, "127.0.0.1:16390/0", False),
        ({"SLUICE_ONLINE": "redis", "SLUICE_REDIS_URL": "redis://:pass@cache:6379/2"}, "cache:6379/2", True),
        ({"SLUICE_ONLINE": "redis://cache:6379/2"}, "cache:6379/2", True),
        ({"SLUICE_ONLINE": "redis://cache:6379/2", "SLUICE_REDIS_URL": "redis://other:1/0"}, "cache:6379/2", True),
    ],
)
def test_an_online_store_in_redis_is_ours_unless_another_address_is_named(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], address: str, *, external: bool
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    service = redis_server(settings())

    assert service is not None
    assert (service.address, service.external) == (address, external)


@pytest.mark.unit
def test_it_listens_on_loopback_and_writes_down_what_it_is_told_every_second(tmp_path: Path) -> None:
    given = options(settings(), tmp_path)

    assert (given["bind"], given["protected-mode"]) == ("127.0.0.1", "yes")
    assert (given["appendonly"], given["appendfsync"], given["dir"]) == ("yes", "everysec", str(tmp_path))


@pytest.mark.unit
def test_a_missing_server_names_the_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match="apt-get install redis-server"):
        program()


@pytest.mark.unit
def test_an_older_server_is_refused_by_its_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "redis-server"
    old.write_text("#!/bin/sh\necho 'Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc-5.2.1 bits=64'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(UserError, match=r"Redis 6 is too old\n  allowed: >= 7"):
        program()


@pytest.mark.integration
def test_what_it_holds_outlives_a_stop_and_a_kill(server: RedisServer) -> None:
    server.up()
    try:
        with Redis.from_url(server.url) as client:
            client.set("first", "1")
        server.down()
        server.up()
        with Redis.from_url(server.url) as client:
            client.set("second", "2")
        server.kill()
        server.up()
        with Redis.from_url(server.url) as client:
            assert client.mget(["first", "second"]) == [b"1", b"2"]
    finally:
        server.down()


@pytest.mark.integration
def test_no_client_can_make_it_write_elsewhere_or_be_reached_from_elsewhere(server: RedisServer) -> None:
    server.up()
    try:
        with Redis.from_url(server.url) as client:
            with pytest.raises(ResponseError, match="protected config"):
                client.config_set("dir", "/")
            with pytest.raises(ResponseError, match="without a config file"):
                client.config_rewrite()
        record = Records(server.home).read("redis")
        assert record is not None
        listening = psutil.Process(record.pid).net_connections("tcp")
        assert {each.laddr.ip for each in listening} == {"127.0.0.1"}
    finally:
        server.down()
