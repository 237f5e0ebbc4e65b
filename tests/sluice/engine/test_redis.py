"""What Redis promises beyond the contract: it is durable, it is shared, and a base is read whole or not at all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis import Redis

from sluice.engine.redis import RedisStore
from sluice.engine.store import Change, LostPartition, Position
from sluice.errors import Outage
from tests.redis_server import RedisServer
from tests.sluice.engine.stores import OpenRedis, contents, step
from tests.sluice.engine.test_store import FACT, P, Q

pytestmark = pytest.mark.integration


def test_what_was_acknowledged_is_there_after_a_kill(open_: OpenRedis, redis_server: RedisServer) -> None:
    store = open_()
    store.load(4, [("v", 6, None, b"base")], [])
    store.apply(Change([FACT], [("v", 5, b"h")], [("v", 5, 60, b"c")], {P: None}, {P: Position(1, 2)}))
    before = contents(store)
    redis_server.kill()
    redis_server.up()
    assert contents(store) == before
    assert contents(open_(read_only=True)) == before
    assert before.knowledge.describe() == {"base": 4, "positions": {"payments/0": 1}}


def test_a_read_is_one_round_trip_and_one_more_when_chunks_are_called_for(open_: OpenRedis, client: Redis) -> None:
    open_().apply(step(0))
    reader = open_(read_only=True)

    def trips(call: Callable[..., list[tuple[str, int, int]]] | None) -> int:
        client.config_resetstat()
        reader.read([("v", 1), ("w", 2)], call)
        # each asks for the knowledge twice
        return int(client.info("commandstats")["cmdstat_get"]["calls"]) // 2

    assert trips(None) == 1
    assert trips(lambda _: [("v", 1, 0), ("v", 2, 0)]) == 2


def test_a_reader_elsewhere_never_sees_tiles_and_positions_of_different_batches(open_: OpenRedis) -> None:
    writer, reader = open_(), open_(read_only=True)
    seen: list[tuple[int, set[bytes]]] = []

    def read() -> None:
        names = [("v", key) for key in range(5)]
        reading = reader.read(names, lambda heads: [("v", key, 0) for key in range(5)] if heads[0] else [])
        marks = {*(head or b"" for head in reading.heads), *reading.chunks.values()}
        seen.append((reading.knowledge.offset(P) or 0, marks))

    with running(lambda: [writer.apply(step(at, mark=b"%d" % (at + 1))) for at in range(300)]) as done:
        while not done():
            read()
    read()
    assert len({offset for offset, _ in seen}) > 2
    assert [marks for _, marks in seen] == [{b"%d" % offset if offset else b""} for offset, _ in seen]


def test_a_reader_never_sees_half_of_a_base(open_: OpenRedis) -> None:
    writer, reader = open_(), open_(read_only=True)
    size = 1_500
    seen: list[tuple[int, set[bytes | None], set[bytes]]] = []

    def read() -> None:
        reading = reader.read([("v", key) for key in range(0, size, 50)])
        scanned = dict(reader.scan("v"))
        assert len(scanned) in {0, size}
        seen.append((reading.knowledge.base, set(reading.heads), set(scanned.values())))

    def load() -> None:
        for base in range(1, 9):
            writer.load(base, (("v", key, None, b"%d" % base) for key in range(size)), [FACT])

    with running(load) as done:
        while not done():
            read()
    read()
    assert len({base for base, _, _ in seen}) > 2
    assert [heads for _, heads, _ in seen] == [{b"%d" % base if base > 0 else None} for base, _, _ in seen]
    assert all(len(scanned) <= 1 for _, _, scanned in seen)


def test_nothing_is_left_of_former_bases_nor_of_one_that_broke_off(open_: OpenRedis, client: Redis) -> None:
    def broken() -> Iterator[tuple[str, int, None, bytes]]:
        yield from (("v", key, None, b"broken") for key in range(3_000))
        raise OSError("the lake is gone")

    store = open_()
    store.apply(step(0))
    store.load(1, [("v", 5, None, b"one"), ("w", 5, 0, b"one")], [FACT, FACT._replace(anchor=2)])
    with pytest.raises(OSError, match="the lake"):
        store.load(2, broken(), [])
    assert any(key.startswith(b"sluice:{shop}:2:") for key in client.scan_iter())
    store.load(3, [("x", 5, None, b"three")], [])
    assert set(client.scan_iter()) == {
        b"sluice:{shop}:knowledge",
        b"sluice:{shop}:loads",
        b"sluice:{shop}:generations",
        b"sluice:{shop}:3:views",
        b"sluice:{shop}:3:heads:x",
    }


def test_a_base_that_was_overtaken_by_a_later_one_is_given_up_whole(open_: OpenRedis, client: Redis) -> None:
    store, other = open_(), open_()

    def overtaken() -> Iterator[tuple[str, int, None, bytes]]:
        yield from (("v", key, None, b"first") for key in range(1_500))
        other.load(8, [("v", 5, None, b"second")], [])
        yield from (("v", key, None, b"first") for key in range(1_500, 3_000))

    with pytest.raises(Outage, match="another base was loaded meanwhile, and stands"):
        store.load(7, overtaken(), [])
    assert store.read([("v", 5), ("v", 6)]).heads == [b"second", None]
    assert store.read([]).knowledge.base == 8
    assert [key for key in client.scan_iter() if key.startswith(b"sluice:{shop}:1:")] == []


def test_writers_of_different_partitions_lose_nothing_of_each_other(open_: OpenRedis) -> None:
    stores = open_(), open_()
    writers = [
        threading.Thread(target=lambda at=at: [stores[at].apply(step(o, partition=(P, Q)[at])) for o in range(150)])
        for at in (0, 1)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert stores[0].read([]).knowledge.positions == {P: Position(150, None), Q: Position(150, None)}


def test_of_two_writers_of_a_partition_one_alone_stores_each_batch(open_: OpenRedis) -> None:
    stored: list[tuple[int, int]] = []

    def write(who: int, store: RedisStore) -> None:
        for offset in range(150):
            try:
                store.apply(Change(heads=[("v", offset, b"%d" % who)], **_moved(offset)))
            except LostPartition:
                continue
            stored.append((offset, who))

    writers = [threading.Thread(target=write, args=(who, open_())) for who in (0, 1)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert sorted(offset for offset, _ in stored) == list(range(150))
    assert dict(open_().scan("v")) == {offset: b"%d" % who for offset, who in stored}


def test_one_store_may_be_read_from_many_threads(open_: OpenRedis) -> None:
    store = open_()
    store.apply(step(0, mark=b"mark"))
    found: list[bool] = []

    def read() -> None:
        names = [("v", key) for key in range(5)]
        found.extend(store.read(names).heads == [b"mark"] * 5 for _ in range(100))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 400


def test_more_fields_than_one_command_takes_are_written_at_once(open_: OpenRedis) -> None:
    store, keys = open_(), range(25_000)
    store.apply(Change([FACT._replace(id=key, anchor=key) for key in keys], [("v", key, b"x") for key in keys]))
    assert (len(dict(store.scan("v"))), len(store.facts(keys))) == (25_000, 25_000)
    store.apply(Change(heads=[("v", key, None) for key in keys]), forget=FACT.time + 1)
    assert (dict(store.scan("v")), store.facts(keys)) == ({}, [])


def _moved(offset: int) -> dict[str, dict[tuple[str, int], object]]:
    return {"expected": {P: offset or None}, "positions": {P: Position(offset + 1, None)}}


@contextmanager
def running(work: Callable[[], object]) -> Iterator[Callable[[], bool]]:
    """Work in a thread; whether it is done. What it raises is raised at the end."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 raised below
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    yield lambda: not thread.is_alive()
    thread.join()
    if failed:
        raise failed[0]
