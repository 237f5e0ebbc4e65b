"""Where Debian keeps Postgres: the warehouse of the tests, which nothing else here needs."""

from __future__ import annotations

import sys
from pathlib import Path

from sluice.errors import UserError

OLDEST = 13
"""The first version that is tried."""
DEBIAN = Path("/usr/lib/postgresql")
"""Its programs are below a folder for each version, and not on PATH."""
_PACKAGE = "apt-get install postgresql"


def programs(below: Path = DEBIAN) -> Path:
    """The folder with the newest Postgres' programs; UserError says what is missing and the one command that helps."""
    found = sorted((int(path.name), path) for path in below.glob("*") if path.name.isdecimal() and _has_server(path))
    if not found:
        raise UserError("no Postgres was found", where=str(below), allowed=f">= {OLDEST}", next_step=_PACKAGE)
    version, newest = found[-1]
    if version < OLDEST:
        raise UserError(f"Postgres {version} is too old", where=str(newest), allowed=f">= {OLDEST}", next_step=_PACKAGE)
    return newest / "bin"


def _has_server(version: Path) -> bool:
    return (version / "bin" / "postgres").is_file()


if __name__ == "__main__":
    try:
        programs()
    except UserError as error:
        sys.exit(str(error))
