"""Feast projects; Feast itself is imported by those who ask for one, for unit tests live in this folder too."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.redis_server import RedisServer

if TYPE_CHECKING:
    from tests.sluice.feast.plain.shop import Shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project whose online store is SQLite."""
    from tests.sluice.feast.plain.shop import open_shop

    return open_shop(tmp_path, monkeypatch)


@pytest.fixture(params=["sqlite", "redis"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A project on each of the online stores."""
    from tests.sluice.feast.plain.shop import open_shop

    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        monkeypatch.setenv("SLUICE_ONLINE", server.url)
    return open_shop(tmp_path, monkeypatch)
