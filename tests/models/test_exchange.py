from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from models.exchange import Alone, Exchange, Hub, Meeting, Spoke, ordered_sum
from sluice.errors import Outage

pytestmark = pytest.mark.unit


def together(world: int, work: Callable[[Exchange], Any]) -> list[Any]:
    """What each of so many workers gets, in rank order."""
    results: dict[int, Any] = {}

    def join(meeting: Meeting, rank: int) -> None:
        with Spoke(meeting, rank, world) as spoke:
            results[rank] = work(spoke)

    with Hub(world) as hub:
        threads = [threading.Thread(target=join, args=(hub.meeting, rank)) for rank in range(1, world)]
        for thread in threads:
            thread.start()
        hub.accept()
        results[0] = work(hub)
        for thread in threads:
            thread.join()
    return [results[rank] for rank in range(world)]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_worker_gets_every_payload_in_rank_order(world: int) -> None:
    def work(exchange: Exchange) -> list[bytes]:
        exchange.gather(b"first round")
        return exchange.gather(b"x" * 100_000 * exchange.rank)

    assert together(world, work) == [[b"x" * 100_000 * rank for rank in range(world)]] * world


def test_a_sum_over_shards_has_the_same_bits_whoever_holds_them() -> None:
    # float addition is not associative: these four shards sum to different values in other orders
    shards = np.array([[1e16, 0.1], [1.0, 0.2], [-1e16, 0.3], [1.0, 1e17]])

    def work(exchange: Exchange) -> bytes:
        mine = np.array_split(shards, exchange.world)[exchange.rank]
        return ordered_sum(exchange, mine).tobytes()

    assert ordered_sum(Alone(), shards).tolist() == [1.0, 1e17]
    assert set(together(1, work) + together(2, work) + together(4, work)) == {ordered_sum(Alone(), shards).tobytes()}


def test_a_stranger_without_the_token_is_not_counted_as_a_worker() -> None:
    with Hub(2) as hub:
        stranger = socket.create_connection((hub.meeting.host, hub.meeting.port))
        stranger.sendall(b"0" * 40)
        waiting = threading.Thread(target=hub.accept)
        waiting.start()
        with Spoke(hub.meeting, 1, 2) as spoke:
            waiting.join()
            answers: list[list[bytes]] = []
            peer = threading.Thread(target=lambda: answers.append(spoke.gather(b"worker")))
            peer.start()
            assert hub.gather(b"hub") == [b"hub", b"worker"]
            peer.join()
        assert stranger.recv(1) == b""
        stranger.close()
    assert answers == [[b"hub", b"worker"]]


def test_a_worker_that_has_gone_is_an_outage_that_names_it() -> None:
    with Hub(2) as hub:
        spoke = Spoke(hub.meeting, 1, 2)
        hub.accept()
        spoke.__exit__()
        with pytest.raises(Outage, match="worker 1 has gone"):
            hub.gather(b"anyone there?")


def test_a_hub_that_is_not_there_is_an_outage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Outage, match="cannot reach worker 0"):
        Spoke(Meeting("127.0.0.1", port, b""), 1, 2)
