"""Health questions answer yes or no, whatever is at the other end."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from sluice.local.health import grpc_serving, http, reachable, sqlite_has, tcp

pytestmark = pytest.mark.unit

NOWHERE = 9


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """Something that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_nobody_there_is_a_plain_no() -> None:
    assert not tcp("127.0.0.1", NOWHERE)
    assert http(f"http://127.0.0.1:{NOWHERE}/health") == (0, None)
    assert not grpc_serving("127.0.0.1", NOWHERE)


def test_a_server_that_says_nothing_is_reachable_and_not_healthy(mute: socket.socket) -> None:
    port = mute.getsockname()[1]

    assert tcp("127.0.0.1", port)
    assert http(f"http://127.0.0.1:{port}/", timeout=0.1) == (0, None)


@pytest.mark.parametrize(
    "address", ["127.0.0.1:{}", "127.0.0.1:{},other:1", "spark://127.0.0.1:{}", "redis://u:p@127.0.0.1:{}/0"]
)
def test_every_way_to_write_an_address_is_understood(mute: socket.socket, address: str) -> None:
    open_port = mute.getsockname()[1]

    assert reachable(address.format(open_port))
    assert not reachable(address.format(NOWHERE))


def test_an_address_without_a_port_cannot_be_asked_and_counts_as_there() -> None:
    assert reachable("databricks")


def test_a_store_is_made_when_the_query_finds_a_row(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert not sqlite_has(path, "SELECT 1 FROM experiments")

    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE experiments (id INTEGER)")
    assert not sqlite_has(path, "SELECT 1 FROM experiments")
    assert not sqlite_has(path, "SELECT 1 FROM nothing")

    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO experiments VALUES (0)")
    assert sqlite_has(path, "SELECT 1 FROM experiments")


def test_a_file_that_is_no_database_is_a_plain_no(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("half written")

    assert not sqlite_has(path, "SELECT 1 FROM experiments")
