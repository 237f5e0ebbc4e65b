"""What `up` has started, written down before and after each start, so that a killed run leaves nothing unknown.

A record is written first without a pid, then with it. The token goes into the environment of the process and all its
children, which finds a process whose starter died between the two.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

TOKEN_VARIABLE = "_SLUICE_STARTED_BY"


@dataclass(frozen=True, slots=True)
class Record:
    """One service that was started, or was about to be when `pid` is None."""

    name: str
    address: str
    token: str
    """The home and the service's name, and a part that no other start has."""
    log: str
    pid: int | None = None
    started: float | None = None
    """When the process was created, Unix seconds: with the pid it names one process for ever."""

    def with_process(self, pid: int, started: float) -> Record:
        """The same record once the process is known."""
        return replace(self, pid=pid, started=started)


class Records:
    """The records below one home, one small file each."""

    def __init__(self, home: Path) -> None:
        self.home = home.absolute()
        self._folder = self.home / "services"

    def intend(self, name: str, address: str) -> Record:
        """Write down that a service is about to be started."""
        record = Record(name, address, f"{self.home}|{name}|{uuid.uuid4().hex}", str(self.log(name)))
        self.write(record)
        return record

    def log(self, name: str) -> Path:
        """Where a service's output goes."""
        return self.home / "logs" / f"{name}.log"

    def read(self, name: str) -> Record | None:
        """What is written about a service; None when nothing was started."""
        path = self._folder / f"{name}.json"
        return Record(**json.loads(path.read_text())) if path.exists() else None

    def all(self) -> list[Record]:
        """Every record, by name."""
        found = (self.read(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [record for record in found if record]

    def write(self, record: Record) -> None:
        """Write a record whole or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True)
        unfinished = self._folder / f".{record.name}.{os.getpid()}"
        unfinished.write_text(json.dumps(asdict(record)))
        unfinished.replace(self._folder / f"{record.name}.json")

    def forget(self, name: str) -> None:
        """Remove a record; its process is gone."""
        (self._folder / f"{name}.json").unlink(missing_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One `up` or `down` at a time; a second waits."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def home_of(token: str) -> str:
    """The home that a token was made in."""
    return token.split("|", 1)[0]
