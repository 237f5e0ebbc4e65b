"""Whether loopback ports are free, and who holds one that is not."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import psutil

from sluice.errors import UserError
from sluice.local.processes import token_of
from sluice.local.records import home_of


def refuse_taken(ports: Mapping[str, int]) -> None:
    """UserError that names the first port of the mapping (setting → port) that is taken, its holder and a way out."""
    for setting, port in ports.items():
        if is_taken(port):
            raise UserError(
                f"port {port} is taken by {holder(port)}",
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


def holder(port: int) -> str:
    """Who listens there, as far as this person may know."""
    for connection in psutil.net_connections("tcp"):
        here = connection.laddr.port if connection.laddr else None
        if here == port and connection.status == psutil.CONN_LISTEN and connection.pid:
            return _described(connection.pid)
    return "a process of another person"


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
