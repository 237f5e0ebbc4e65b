"""One real broker for the tests of this room, seeds that are new each time, and workers that can be killed."""

from __future__ import annotations

import os
import re
import secrets
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sluice.stream.broker import Broker
from tests.sluice.stream.workers import Place


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
    """A fresh seed, printed when the test fails; `SLUICE_TEST_SEED` repeats one."""
    given = os.environ.get("SLUICE_TEST_SEED")
    found = int(given) if given else secrets.randbits(32)
    print(f"SLUICE_TEST_SEED={found}")  # noqa: T201 pytest shows it when the test fails
    return found
