"""What would be left of rows that are out of a table: files of older versions, and of runs that died.

A version that names such a file can be read no longer, be it pinned.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from sluice.lake.files import remove
from sluice.lake.forgetting.logs import LOG, quieten
from sluice.lake.keeping.present import below_folder, files, folders
from sluice.lake.keeping.rewriting import Which, has
from sluice.lake.storage import place
from sluice.lake.tables import Lake

IDLE_S = 600
"""For how long nobody has written to a folder of work that nobody works on any more."""


def old_files(lake: Lake, table: str, which: Which) -> list[str]:
    """The files below a table that have such rows and that its newest version does not name."""
    held = lake.open(table)
    if held is None:
        return []
    named = {file.path for file in files(held)}
    return [path for path in _below(lake, table) if path not in named and has(lake, table, path, which)]


def with_rows(lake: Lake, table: str, which: Which) -> set[str]:
    """Every file below a table that has such rows, whichever version names it."""
    return {path for path in _below(lake, table) if has(lake, table, path, which)}


def clear(lake: Lake, table: str, which: Which) -> int:
    """Take away what older versions have of such rows, and all that the log says of it; how many files went."""
    gone = old_files(lake, table, which)
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
    _, root = place(lake.uri(table))
    for info in below_folder(lake.uri(table)):
        path = info.path.removeprefix(f"{root}/")
        if path.endswith(".parquet") and not path.startswith(f"{LOG}/"):
            yield path
