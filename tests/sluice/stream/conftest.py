"""One real broker for the tests of this room, seeds that are new each time, and workers that can be killed."""

from __future__ import annotations

import os
import re
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.sluice.stream.broker import Broker
from tests.sluice.stream.workers import Place

if TYPE_CHECKING:
    from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that every test may use, each with topics of its own."""
    found = Broker(tmp_path_factory.mktemp("broker"))
    found.up()
    yield found
    found.down()


@pytest.fixture
def place(tmp_path: Path, broker: Broker, request: pytest.FixtureRequest) -> Place:
    """A pipeline named after the test, with its topics, and room for a lake and a store."""
    words = re.sub(r"[^a-z0-9]+", "_", request.node.name.lower()).strip("_")
    name = f"p{zlib.crc32(words.encode()):08x}_{words[:30].strip('_')}"
    return Place.make(tmp_path, broker.bootstrap, name)


@pytest.fixture(params=["first", "second"])
def seed() -> int:
    """A fresh seed, of two; printed when the test fails, and `SLUICE_TEST_SEED` repeats one."""
    return fresh_seed()


@pytest.fixture
def lone_seed() -> int:
    """The same, of one: for a test that runs on several stores."""
    return fresh_seed()


@pytest.fixture(params=["sqlite", "redis"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URI of an empty online store of each kind that outlives a process."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        return server.url
    return f"sqlite:///{tmp_path}"


def fresh_seed() -> int:
    """A seed that nobody chose, or the one to repeat."""
    given = os.environ.get("SLUICE_TEST_SEED")
    found = int(given) if given else secrets.randbits(32)
    print(f"SLUICE_TEST_SEED={found}")  # noqa: T201 pytest shows it when the test fails
    return found
