"""The stream workers as processes of their own, which a test may kill at any moment.

Called as `python -m tests.sluice.stream.workers KIND PIPELINE FOLDER BOOTSTRAP ONLINE`: the workers of the command
line, but with small batches and many commits, so that there are many moments to be killed in.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline
from sluice.engine.places import open_store
from sluice.engine.store import TileStore
from sluice.errors import Outage
from sluice.lake.tables import Lake
from sluice.stream.archive import Archive
from sluice.stream.fold import FoldConsumer
from sluice.stream.topics import create_topics

Kind = Literal["fold", "archive"]
ROOT = Path(__file__).parents[3]
LOST = 4
"""How a worker ends that an outage stopped."""
MOST = 40


@dataclass(frozen=True)
class Place:
    """A pipeline under a name of its own, with its topics, a lake and an online store."""

    folder: Path
    bootstrap: str
    file: Path
    pipeline: Pipeline
    online: str
    """The URI of the online store."""

    @classmethod
    def make(cls, folder: Path, bootstrap: str, name: str) -> Self:
        """A fresh place with topics."""
        file = folder / f"{name}.py"
        text = Path(__file__).with_name("payments.py").read_text()
        file.write_text(text.replace('    "payments",\n    views', f'    "{name}",\n    views'))
        pipeline = load_pipeline(str(file))
        create_topics(bootstrap, pipeline)
        return cls(folder, bootstrap, file, pipeline, f"sqlite:///{folder}")

    def with_store(self, uri: str) -> Place:
        """The same place with its online store elsewhere."""
        return replace(self, online=uri)

    @property
    def lake(self) -> Lake:
        return Lake(str(self.folder / "lake"), self.pipeline.name)

    def store(self, *, read_only: bool = False) -> TileStore:
        """The online store; made if it is not there, unless it is to be read only."""
        return open_store(self.online, self.pipeline.name, read_only=read_only)

    def log(self, kind: Kind) -> str:
        """What the workers have said."""
        return (self.folder / f"{kind}.log").read_text()

    def worker(self, kind: Kind) -> Worker:
        """Start a worker."""
        module = [sys.executable, "-m", "tests.sluice.stream.workers"]
        command = [*module, kind, str(self.file), str(self.folder), self.bootstrap, self.online]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return Worker(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log), self.folder)


@dataclass
class Worker:
    """A running worker; it is killed at the end of the block if it still runs."""

    process: subprocess.Popen[bytes]
    folder: Path

    def kill(self) -> None:
        """Kill it at once, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Ask it to end, once it listens; its exit code."""
        while not (self.folder / str(self.process.pid)).exists() and self.process.poll() is None:
            time.sleep(0.02)
        self.process.terminate()
        return self.process.wait(timeout=60)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.kill()


def main(kind: str, file: str, folder: str, bootstrap: str, online: str) -> None:
    """Run one worker until SIGTERM."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    pipeline, place = load_pipeline(file), Path(folder)
    (place / str(os.getpid())).touch()
    if kind == "fold":
        FoldConsumer(pipeline, open_store(online, pipeline.name), bootstrap, most=MOST).run(told.is_set)
    else:
        Archive(pipeline, Lake(str(place / "lake"), pipeline.name), bootstrap, every_s=0.05, most=MOST).run(told.is_set)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Outage as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(LOST)
