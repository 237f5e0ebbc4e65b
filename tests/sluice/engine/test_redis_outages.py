"""What is seen of a Redis that is away, hangs, is full, is another's, or has lost something."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis import Redis

from sluice.engine.redis import RedisStore
from sluice.engine.store import Change, Position, StoreDown
from sluice.errors import Outage, SettingsError, UserError
from sluice.local.records import Records
from tests.redis_server import RedisServer
from tests.sluice.engine.stores import OpenRedis, step
from tests.sluice.engine.test_store import FACT, P

pytestmark = pytest.mark.integration


def test_a_server_that_is_away_is_named_and_the_store_works_again_when_it_is_back(
    open_: OpenRedis, redis_server: RedisServer
) -> None:
    store, reader = open_(), open_(read_only=True)
    store.apply(step(0, mark=b"mark"))
    reader.read([("v", 1)])
    redis_server.kill()
    try:
        down = rf"{redis_server.url}: Redis does not answer: .*\n  next: sluice up redis"
        for ask in (lambda: reader.read([("v", 1)]), lambda: store.apply(step(1)), lambda: store.facts([1])):
            with pytest.raises(StoreDown, match=down):
                ask()
    finally:
        redis_server.up()
    assert reader.read([("v", 1)]).heads == [b"mark"]
    store.apply(step(1))


@pytest.mark.parametrize(("options", "most_s"), [("", 3), ("?socket_timeout=0.2", 0.8)])
def test_a_server_that_hangs_is_waited_for_no_longer_than_a_request_can_wait(
    open_: OpenRedis, redis_server: RedisServer, options: str, most_s: float
) -> None:
    open_()
    reader = RedisStore(f"{redis_server.url}{options}", "shop", read_only=True)
    record = Records(redis_server.home).read("redis")
    assert record is not None
    assert record.pid is not None
    os.kill(record.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        with pytest.raises(StoreDown, match="Timeout reading"):
            reader.read([("v", 1)])
        assert time.monotonic() - begun < most_s
    finally:
        os.kill(record.pid, signal.SIGCONT)
    assert reader.read([("v", 1)]).heads == [None]
    reader.close()


def test_a_batch_whose_answer_is_lost_is_down_and_the_positions_say_that_it_is_there(
    open_: OpenRedis, redis_server: RedisServer
) -> None:
    direct = open_()
    with losing_answers_to(b"EXEC", redis_server.port) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}/0", "shop")
        with pytest.raises(StoreDown):
            store.apply(step(0, mark=b"mark"))
        store.close()
    assert direct.read([("v", 1)]).heads == [b"mark"]
    assert direct.read([]).knowledge.positions == {P: Position(1, None)}


def test_a_server_without_room_stores_nothing_of_a_batch_and_goes_on_when_it_has_room(
    open_: OpenRedis, client: Redis
) -> None:
    store = open_()
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreDown, match="used memory > 'maxmemory'"):
            store.apply(step(0))
        assert store.read([("v", 1)]).heads == [None]
    finally:
        client.config_set("maxmemory", "0")
    store.apply(step(0))


def test_a_server_that_may_throw_tiles_away_is_refused(open_: OpenRedis, client: Redis) -> None:
    client.config_set("maxmemory", "1gb")
    client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(SettingsError, match="its maxmemory-policy is allkeys-lru\n  allowed: noeviction"):
            open_()
    finally:
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "0")


def test_a_wrong_password_is_no_outage_that_passes_and_is_not_shown(redis_server: RedisServer, client: Redis) -> None:
    client.config_set("requirepass", "right")
    try:
        with pytest.raises(Outage, match=r"does not let us in: .*\n  next: mend SLUICE_REDIS_URL") as refused:
            RedisStore(redis_server.url.replace("//", "//:wr0ng@"), "shop")
        RedisStore(redis_server.url.replace("//", "//:right@"), "shop").close()
    finally:
        client.config_set("requirepass", "")
    assert not isinstance(refused.value, StoreDown)
    assert "wr0ng" not in str(refused.value)


def test_a_reader_cannot_write_and_says_when_there_is_nothing_to_read(open_: OpenRedis) -> None:
    with pytest.raises(
        Outage, match=r"\{shop\}:knowledge: the online store is not there yet\n  next: run the flow `features`"
    ):
        open_(read_only=True)
    open_()
    reader = open_(read_only=True)
    for write in (lambda: reader.apply(Change([FACT])), lambda: reader.load(1, [], [])):
        with pytest.raises(UserError, match="opened to be read"):
            write()


def test_another_format_is_refused_and_not_misread(open_: OpenRedis, client: Redis) -> None:
    open_()
    client.set("sluice:{shop}:knowledge", b"[9,0,-1,[]]")
    for read_only in (False, True):
        with pytest.raises(
            Outage, match=r"another format than this version's 2\n  next: remove the keys sluice:\{shop\}"
        ):
            open_(read_only=read_only)


def test_a_writer_is_told_once_that_redis_has_lost_its_last_changes_and_readers_go_on(
    open_: OpenRedis, redis_server: RedisServer, tmp_path: Path
) -> None:
    writer, reader = open_(), open_(read_only=True)
    writer.apply(step(0, mark=b"kept"))
    redis_server.save(tmp_path / "before")
    writer.apply(step(1, mark=b"lost"))
    assert reader.read([("v", 1)]).heads == writer.read([("v", 1)]).heads == [b"lost"]
    redis_server.restore(tmp_path / "before")
    with pytest.raises(StoreDown, match=r"it holds 1 of 2\n  next: read the positions again, and go on from them"):
        writer.apply(step(2))
    assert reader.read([("v", 1)]).heads == writer.read([("v", 1)]).heads == [b"kept"]
    writer.apply(step(1, mark=b"again"))
    assert reader.read([("v", 1)]).heads == [b"again"]


@contextmanager
def losing_answers_to(command: bytes, port: int) -> Iterator[int]:
    """A port that leads to a server, and breaks off as soon as the server has answered to a command."""
    listening = socket.create_server(("127.0.0.1", 0))

    def carry(near: socket.socket) -> None:
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            while asked := near.recv(1 << 20):
                far.sendall(asked)
                answered = far.recv(1 << 20)
                if command in asked:
                    return
                near.sendall(answered)

    def serve() -> None:
        while True:
            try:
                near, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=carry, args=(near,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listening.getsockname()[1]
    listening.close()
