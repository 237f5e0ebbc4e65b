"""One run of the whole loop on a small simulation, as a person starts it, and the services that it leaves running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.place import Place, place
from sluice.local import services
from sluice.local.environment import engine_environment
from sluice.local.ports import free_port
from sluice.settings import Ports, settings, variable

SIZE = ("--customers", "250", "--days", "200")
LEAST_AUDITED = 5_000
CALM = str(Path(__file__).parent / "demo" / "calm.py")
"""The same pipeline under another name, whose world holds no surprise."""


@dataclass(frozen=True)
class Loop:
    """What a run left: its home (the settings of the tests name it), what it said, and its figures."""

    home: Path
    code: int
    said: str
    report: dict[str, Any]

    @property
    def here(self) -> Place:
        return place("fraud")

    def rows(self, name: str, **those: Any) -> list[dict[str, Any]]:
        """The rows of a part of the report that have these values."""
        return [row for row in self.report[name] if all(row[key] == value for key, value in those.items())]

    def events(self, name: str) -> list[dict[str, Any]]:
        """The events of a name that the Prefect server was told of."""
        wanted = {"filter": {"event": {"name": [name]}}}
        answer = httpx.post(f"{settings().prefect_api}/events/filter", json=wanted, timeout=30, trust_env=False)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["events"]
        return found

    def ask_prefect(self, what: str, **body: Any) -> list[dict[str, Any]]:
        """What the Prefect server says, as its UI shows it."""
        answer = httpx.post(f"{settings().prefect_api}/{what}/filter", json=body, timeout=30, trust_env=False)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


def sluice(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """One command, as a person calls it."""
    command = [sys.executable, "-m", "sluice.cli.main", *arguments]
    inherited = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(command, env=inherited, capture_output=True, text=True, check=False)


@contextmanager
def homely(home: Path) -> Iterator[Path]:
    """The settings name this home, with ports of its own, while the block runs; its services stop with it."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SLUICE_HOME", str(home))
        environment.setenv("SLUICE_CLOCK", (home / "clock").as_uri())
        port = 21_000 + os.getpid() % 3_000
        for name in Ports.model_fields:
            port = free_port(port + 1)
            environment.setenv(variable(Ports, name), str(port))
        settings.cache_clear()
        for name, value in engine_environment(settings()).items():
            environment.setenv(name, value)
        try:
            yield home
        finally:
            settings.cache_clear()
            services.down()
    settings.cache_clear()


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    """The whole loop, once; its services run until the last test that asks for it."""
    with homely(tmp_path_factory.mktemp("loop")) as home:
        done = sluice("demo", *SIZE)
        file = home / "report.json"
        report = json.loads(file.read_text()) if file.exists() else {}
        yield Loop(home, done.returncode, done.stdout + done.stderr, report)
