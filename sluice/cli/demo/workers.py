"""The two stream workers as child processes: they end with the demo."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sluice.errors import Outage
from sluice.local.environment import engine_environment
from sluice.settings import Settings

WORKERS = ("fold", "archive")
_PATIENCE_S = 30


@contextmanager
def stream_workers(here: Settings, pipeline: str) -> Iterator[None]:
    """Fold and archive the pipeline's topics while the block runs; what is waiting at its end is written."""
    logs = here.places.at("logs")
    logs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **engine_environment(here)}
    running = {}
    for name in WORKERS:
        with (logs / f"{name}.log").open("ab") as log:
            command = [sys.executable, "-m", "sluice.cli.main", "stream", name, pipeline]
            running[name] = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield
        for name, worker in running.items():
            if worker.poll() is not None:
                raise Outage(
                    f"it ended with {worker.returncode}", where=f"{name} worker", next_step=f"read {logs}/{name}.log"
                )
    finally:
        for worker in running.values():
            worker.terminate()
        for worker in running.values():
            worker.wait(timeout=_PATIENCE_S)
