"""What would be left of rows that are out of a table: files of older versions, and of runs that died.

A version that names such a file can be read no longer, be it pinned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sluice.lake.files import PART, remove
from sluice.lake.forgetting.logs import LOG, quieten
from sluice.lake.keeping.present import below_folder, files, folders
from sluice.lake.keeping.rewriting import Which, has
from sluice.lake.storage import place
from sluice.lake.tables import Lake

IDLE_S = 600
"""For how long nobody has written to a folder of work that nobody works on any more."""

_LANDING = ("landed-", "brought-")
"""The folders below bronze in which files wait to be named."""


def old_files(lake: Lake, table: str, which: Which, unlanded: Which | None = None) -> list[str]:
    """The files below a table that have such rows and that its newest version does not name, if it has one.

    `unlanded` tells it of raw events that may never have come into the table.
    """
    held = lake.open(table)
    named = set() if held is None else {file.path for file in files(held)}
    left = {path: unlanded if path.startswith(_LANDING) else which for path in _below(lake, table) if path not in named}
    return [path for path, eraser in left.items() if has(lake, table, path, eraser or which)]


def with_rows(lake: Lake, table: str, which: Which) -> set[str]:
    """Every file below a table that has such rows, whichever version names it."""
    return {path for path in _below(lake, table) if has(lake, table, path, which)}


def clear(lake: Lake, table: str, which: Which, unlanded: Which | None = None) -> int:
    """Take away what older versions have of such rows, and all that the log says of it; how many files went.

    So does what writers that died have left half written, which nobody can look into.
    """
    gone = [*old_files(lake, table, which, unlanded), *_torn(lake, table)]
    quieten(lake, table)
    for path in gone:
        remove(f"{lake.uri(table)}/{path}")
    return len(gone)


def idle(lake: Lake, folder: str, *, idle_s: int = IDLE_S) -> list[str]:
    """The folders in one beside the tables that nobody has written to for a while: of runs that died, or are over."""
    oldest = time.time() - idle_s  # a file's age is the machine's matter
    names = [f"{folder}/{name}" for name in folders(lake.uri(folder))]
    return [name for name in names if all(info.mtime.timestamp() <= oldest for info in below_folder(lake.uri(name)))]


def _below(lake: Lake, table: str) -> Iterator[str]:
    """The paths of all whole files below a table, whichever version names them."""
    return (path for path, _ in _files(lake, table) if path.endswith(".parquet"))


def _torn(lake: Lake, table: str) -> list[str]:
    """The paths of files below a table that nobody has gone on writing for a while."""
    oldest = time.time() - IDLE_S  # a file's age is the machine's matter
    return [path for path, written in _files(lake, table) if path.endswith(PART) and written <= oldest]


def _files(lake: Lake, table: str) -> Iterator[tuple[str, float]]:
    """Every file below a table by its path there, with when it was written last; but for the log's."""
    _, root = place(lake.uri(table))
    for info in below_folder(lake.uri(table)):
        path = info.path.removeprefix(f"{root}/")
        if not path.startswith(f"{LOG}/"):
            yield path, info.mtime.timestamp()
