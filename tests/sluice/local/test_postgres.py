"""Where Postgres is on a Debian machine, and what helps where it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.errors import UserError
from sluice.local.postgres import programs

pytestmark = pytest.mark.unit


def install(below: Path, version: str) -> None:
    server = below / version / "bin" / "postgres"
    server.parent.mkdir(parents=True)
    server.touch()


def test_the_newest_of_several_is_taken(tmp_path: Path) -> None:
    for version in ("9", "15", "16"):
        install(tmp_path, version)
    (tmp_path / "17" / "bin").mkdir(parents=True)  # its client alone
    assert programs(tmp_path) == tmp_path / "16" / "bin"


def test_a_missing_server_names_the_package(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no Postgres was found\n.*\n.*apt-get install postgresql"):
        programs(tmp_path)


def test_an_older_server_is_refused_by_its_version(tmp_path: Path) -> None:
    install(tmp_path, "12")
    with pytest.raises(UserError, match=r"Postgres 12 is too old\n  allowed: >= 13"):
        programs(tmp_path)
