"""A taken port is named with its setting, its holder and a way out."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psutil
import pytest

from sluice.errors import UserError
from sluice.local.ports import free_port, is_taken, refuse_taken

pytestmark = pytest.mark.unit


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def test_a_port_that_somebody_listens_on_is_taken_and_its_neighbour_is_found(taken: int) -> None:
    assert is_taken(taken)
    assert free_port(taken) > taken


def test_a_listener_on_every_interface_takes_loopback_too() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))  # noqa: S104  that is what this test is about
        server.listen()

        assert is_taken(int(server.getsockname()[1]))


def test_the_message_names_port_holder_setting_and_a_free_port(taken: int) -> None:
    free = free_port(20_000)
    expected = rf"SLUICE_KAFKA_PORT: port {taken} is taken by pid {os.getpid()} \(.*\)"

    with pytest.raises(UserError, match=expected) as caught:
        refuse_taken({"SLUICE_RAY_PORT": free, "SLUICE_KAFKA_PORT": taken})

    offered = re.search(r"SLUICE_KAFKA_PORT=(\d+)$", str(caught.value))
    assert offered is not None
    assert not is_taken(int(offered[1]))


def test_free_ports_are_not_refused() -> None:
    refuse_taken({"SLUICE_KAFKA_PORT": free_port(20_000)})


DYING = """
import ctypes, os, socket, sys, threading, time
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen()
print(server.getsockname()[1], flush=True)
def linger():
    time.sleep(float(sys.argv[1]))
    os._exit(0)
threading.Thread(target=linger).start()
ctypes.CDLL(None).syscall(60, 0)  # only this thread ends: the process is a zombie, and its sockets are not closed yet
"""


@pytest.fixture
def dying() -> Iterator[Callable[[float], int]]:
    """Starts a process that has ended but for one of its threads, as one that was just killed; the port it holds."""
    with ExitStack() as stack:

        def start(seconds: float) -> int:
            command = [sys.executable, "-c", DYING, str(seconds)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert process.stdout is not None
            port = int(process.stdout.readline())
            while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
            return port

        yield start


def test_a_port_that_a_killed_process_is_about_to_let_go_is_waited_for(dying: Callable[[float], int]) -> None:
    port = dying(0.5)
    assert is_taken(port)
    refuse_taken({"SLUICE_REDIS_PORT": port})
    assert not is_taken(port)


def test_a_port_that_is_not_let_go_is_refused_after_a_while(dying: Callable[[float], int]) -> None:
    port = dying(1.5)
    with pytest.raises(UserError, match=f"port {port} is taken by a process that cannot be seen"):
        refuse_taken({"SLUICE_REDIS_PORT": port}, patience=0.2)
