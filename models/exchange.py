"""How workers put their numbers together: every one gets every one's bytes, in the order of their ranks.

The port needs nothing of Ray or Spark but a way to tell the others one small value (an address and a token), which
both have; the bytes then go over plain sockets between the workers.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from sluice.errors import Outage
from sluice.scoring import Float32s, Float64s

_LENGTH = struct.Struct("<Q")
_TOKEN_BYTES = 32
_TIMEOUT = 300.0
"""Seconds that a worker may be silent; a step takes milliseconds, importing TensorFlow up to a minute."""
_GREETING_TIMEOUT = 10.0


class Exchange(Protocol):
    """One worker's end of the exchange; all workers call `gather` the same number of times."""

    rank: int
    world: int

    def gather(self, payload: bytes) -> list[bytes]:
        """Every worker's payload, in rank order, on every worker; Outage when one of them has gone."""
        ...


class Alone:
    """The exchange of a single worker."""

    rank = 0
    world = 1

    def gather(self, payload: bytes) -> list[bytes]:
        """The payload itself."""
        return [payload]


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where the workers meet, and the token that says that they belong to this training."""

    host: str
    port: int
    token: bytes


class Hub:
    """Rank 0: waits for the others, collects their payloads and hands all of them to each."""

    rank = 0

    def __init__(self, world: int, host: str = "127.0.0.1") -> None:
        self.world = world
        self._server = socket.create_server((host, 0))
        self.meeting = Meeting(host, self._server.getsockname()[1], secrets.token_bytes(_TOKEN_BYTES))
        self._spokes: list[socket.socket] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._server, *self._spokes):
            each.close()

    def accept(self) -> None:
        """Wait until every other worker has joined; a connection without the token is closed and not counted."""
        self._server.settimeout(_TIMEOUT)
        joined: dict[int, socket.socket] = {}
        while len(joined) < self.world - 1:
            try:
                spoke, _ = self._server.accept()
            except TimeoutError:
                raise Outage(f"{len(joined) + 1} of {self.world} workers came", where="training exchange") from None
            rank = _greeted(spoke, self.meeting.token)
            if rank is None:
                spoke.close()
            else:
                joined[rank] = spoke
        self._spokes = [joined[rank] for rank in sorted(joined)]

    def gather(self, payload: bytes) -> list[bytes]:
        """Every worker's payload, in rank order."""
        payloads = [payload, *(_receive(spoke, rank) for rank, spoke in enumerate(self._spokes, start=1))]
        everything = b"".join(_LENGTH.pack(len(each)) + each for each in payloads)
        for rank, spoke in enumerate(self._spokes, start=1):
            _send(spoke, everything, rank)
        return payloads


class Spoke:
    """Any other rank: sends its payload to the hub and gets everyone's back."""

    def __init__(self, meeting: Meeting, rank: int, world: int) -> None:
        self.rank = rank
        self.world = world
        try:
            self._hub = _tuned(socket.create_connection((meeting.host, meeting.port), timeout=_TIMEOUT))
        except OSError as error:
            raise Outage(
                f"worker {rank} cannot reach worker 0: {error}", where=f"{meeting.host}:{meeting.port}"
            ) from error
        _send(self._hub, meeting.token + _LENGTH.pack(rank), 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hub.close()

    def gather(self, payload: bytes) -> list[bytes]:
        """Every worker's payload, in rank order."""
        _send(self._hub, _LENGTH.pack(len(payload)) + payload, 0)
        return [_receive(self._hub, 0) for _ in range(self.world)]


def ordered_sum(exchange: Exchange, shards: Float32s | Float64s) -> Float64s:
    """The sum over all logical shards of one row each, [shards of this worker, n] → [n].

    Shards are added in their own order as float64, so the bits do not depend on how many workers held them.
    """
    total = np.zeros(shards.shape[1], dtype=np.float64)
    for payload in exchange.gather(np.ascontiguousarray(shards).tobytes()):
        for shard in np.frombuffer(payload, dtype=shards.dtype).reshape(-1, shards.shape[1]).astype(np.float64):
            total += shard
    return total


def _greeted(spoke: socket.socket, token: bytes) -> int | None:
    """The rank of a worker that knows the token."""
    _tuned(spoke).settimeout(_GREETING_TIMEOUT)
    try:
        greeting = _exactly(spoke, _TOKEN_BYTES + _LENGTH.size)
    except OSError:
        return None
    spoke.settimeout(_TIMEOUT)
    known = hmac.compare_digest(greeting[:_TOKEN_BYTES], token)
    return int(_LENGTH.unpack(greeting[_TOKEN_BYTES:])[0]) if known else None


def _tuned(connection: socket.socket) -> socket.socket:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small messages, each of them waited for
    return connection


def _send(connection: socket.socket, data: bytes, peer: int) -> None:
    try:
        connection.sendall(data)
    except OSError as error:
        raise _lost(peer, error) from error


def _receive(connection: socket.socket, peer: int) -> bytes:
    try:
        length = _LENGTH.unpack(_exactly(connection, _LENGTH.size))[0]
        return bytes(_exactly(connection, length))
    except OSError as error:
        raise _lost(peer, error) from error


def _exactly(connection: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise ConnectionResetError("the connection was closed")
        view = view[count:]
    return data


def _lost(peer: int, error: OSError) -> Outage:
    return Outage(
        f"worker {peer} has gone: {error}",
        where="training exchange",
        next_step="look at that worker's log, train again",
    )
