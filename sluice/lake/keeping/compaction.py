"""Many small files of a table become few: the same rows, in a new version; older versions keep their files."""

from __future__ import annotations

import deltalake

from sluice.lake.keeping.present import File, files
from sluice.lake.tables import Lake

TARGET = 16 << 20
"""About how big a file becomes: a task reads one as a whole, and is to hold some hundred thousand rows."""
_SMALL = TARGET // 2
_MANY = 10
_BOOKS = ("batches", "verdicts", "publications", "files", "backfills", "backfills_as_served")
"""Tables that get a row or two with every delivery or backfill, and that the next one reads as a whole."""
_FULL = 20
"""Files of a book from which on it is packed without waiting for anybody to keep the lake."""
_COMPUTED = ("vectors", "vectors_as_served", "rows", "rows_as_served", "tiles", "asof")
"""Tables whose files are laid out on purpose, by day or by bucket, and which a backfill or a load writes anew."""


def small(lake: Lake, table: str) -> list[File]:
    """The small files of a table; none where they are few, or where files are laid out on purpose."""
    held = None if table.partition("/")[0] in _COMPUTED else lake.open(table)
    found = [] if held is None else [file for file in files(held) if file.bytes < _SMALL]
    return found if len(found) >= _MANY else []


def compact(lake: Lake, table: str) -> int:
    """Make few files of a table's small ones; of how many. Others may append meanwhile.

    Outage when they were always faster. A run that dies leaves files that no version names.
    """
    return lake.commit(table, _compacted) if small(lake, table) else 0


def pack_books(lake: Lake) -> None:
    """Keep what every delivery reads in few files, so that a delivery after years costs what the first one did."""
    for table in _BOOKS:
        if len(small(lake, table)) >= _FULL:
            compact(lake, table)


def _compacted(held: deltalake.DeltaTable | None) -> int:
    if held is None:
        return 0
    # one task: each holds what becomes one file
    done = held.optimize.compact(target_size=TARGET, max_concurrent_tasks=1)
    return int(done["numFilesRemoved"])
