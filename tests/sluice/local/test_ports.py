"""A taken port is named with its setting, its holder and a way out."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator

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
