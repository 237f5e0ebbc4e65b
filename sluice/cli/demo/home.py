"""The demo's own state: made afresh at every run, and never anybody else's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sluice.errors import UserError
from sluice.local import services

_MARK = "made-by-demo"
_MADE = (
    "lake",
    "online",
    "models",
    "feast",
    "files",
    "clock",
    "mlflow.db",
    "mlartifacts",
    "prefect",
    "kafka",
    "ray",
    "redis",
    "imports",
    "code",
    "erasure.key",
    "openlineage.jsonl",
    "logs",
)


def prepare(home: Path) -> None:
    """Make `home` the demo's: what an earlier demo left is removed; UserError when it holds somebody's state."""
    home = home.absolute()
    os.environ.setdefault("SLUICE_CLOCK", (home / "clock").as_uri())
    held = [name for name in _MADE if (home / name).exists()]
    if held and not (home / _MARK).exists():
        raise UserError(
            f"{', '.join(held)} in it were not made by a demo, and a demo starts from nothing",
            where=str(home),
            next_step="run it with SLUICE_HOME=<another folder>",
        )
    services.down()
    for name in held:
        _remove(home / name)
    home.mkdir(parents=True, exist_ok=True)
    (home / _MARK).touch()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
