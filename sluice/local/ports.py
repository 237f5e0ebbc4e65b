"""Whether loopback ports are free, and who holds one that is not."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping

import psutil

from sluice.errors import UserError
from sluice.local.pauses import pauses
from sluice.local.processes import POLL, token_of
from sluice.local.records import home_of

LET_GO_IN = 5.0
"""Seconds that a process which was killed may take to close its sockets."""


def refuse_taken(ports: Mapping[str, int], *, patience: float = LET_GO_IN) -> None:
    """UserError that names the first port of the mapping (setting → port) that is taken, its holder and a way out.

    A port whose holder cannot be seen is waited for: a process that was killed is gone, for all that one can see,
    before the last of its threads has ended and its sockets are closed.
    """
    for setting, port in ports.items():
        found = _stays_taken(port, patience)
        if found is not None:
            raise UserError(
                f"port {port} is taken by {found}",
                where=setting,
                next_step=f"stop that, or choose a free port: {setting}={free_port(port + 1)}",
            )


def is_taken(port: int) -> bool:
    """Whether something listens on the port of loopback or of every interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def holder(port: int) -> str | None:
    """Who listens there; None for one that cannot be seen: of another person, or on its way out."""
    for connection in psutil.net_connections("tcp"):
        here = connection.laddr.port if connection.laddr else None
        if here == port and connection.status == psutil.CONN_LISTEN and connection.pid:
            return _described(connection.pid)
    return None


def _stays_taken(port: int, patience: float) -> str | None:
    """Who holds a port and does not let it go; None for a free one."""
    deadline, waits = time.monotonic() + patience, pauses(POLL)
    while is_taken(port):
        found = holder(port)
        if found is not None:
            return found
        if time.monotonic() > deadline:
            return "a process that cannot be seen"
        time.sleep(next(waits))
    return None


def free_port(lowest: int) -> int:
    """The first port from the lowest up that nothing listens on now."""
    return next(port for port in range(lowest, 65_536) if not is_taken(port))


def _described(pid: int) -> str:
    try:
        name = psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return f"pid {pid}"
    token = token_of(pid)
    return f"pid {pid} ({name})" + (f" of the Sluice in {home_of(token)}" if token else "")
