"""Files that no version names any more go: those of versions that nobody needs, and what killed runs have left.

Delta's own full vacuum would take every file that its log does not name. Here stay, too, the files of a publication
that was announced and not completed yet, and whatever was written or taken out within a week: a job may run, or read.
No commit is made, so that a table's versions stay what others call them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection

from sluice.lake.files import remove
from sluice.lake.keeping.present import File, below_folder, files, folders
from sluice.lake.storage import place
from sluice.lake.tables import Lake

YOUNG_H = 24 * 7
"""For how many hours of the machine's clock a file stays that nobody names: longer than any job runs."""
_LEFT = ("work", "retiring")
"""Folders beside the tables, in which runs leave what is theirs."""


def unneeded(lake: Lake, table: str, pinned: Collection[int], *, young_h: int = YOUNG_H) -> list[File]:
    """The files of a table that neither its newest version nor a pinned one names, and nobody is about to."""
    held = lake.open(table)
    if held is None:
        return []
    listed = held.vacuum(
        young_h, dry_run=True, enforce_retention_duration=False, full=True, keep_versions=sorted(pinned) or None
    )
    coming = _announced(lake, table)
    filesystem, root = place(lake.uri(table))
    paths = [path for path in listed if path.partition("/")[0] not in coming]
    found = filesystem.get_file_info([f"{root}/{path}" for path in paths])
    return [File(path, info.size or 0, 0) for path, info in zip(paths, found, strict=True) if info.is_file]


def vacuum(lake: Lake, table: str, pinned: Collection[int], *, young_h: int = YOUNG_H) -> list[File]:
    """Take away the unneeded files of a table; which they were."""
    found = unneeded(lake, table, pinned, young_h=young_h)
    held = lake.open(table)
    # what a publication has named since it was looked for is needed after all
    named = set() if held is None else {file.path for file in files(held)}
    gone = [file for file in found if file.path not in named]
    for file in gone:
        remove(f"{lake.uri(table)}/{file.path}")
    return gone


def leftovers(lake: Lake, *, young_h: int = YOUNG_H) -> list[tuple[str, int]]:
    """The folders that runs have left beside the tables because they died, and how many bytes are in each."""
    needed = {row["retirement"] for row in lake.rows("retirements")}
    needed -= {row["retirement"] for row in lake.rows("retired")}
    oldest = time.time() - young_h * 3600  # a file's age is the machine's matter
    found = []
    for name in (f"{kind}/{folder}" for kind in _LEFT for folder in folders(lake.uri(kind))):
        inside = below_folder(lake.uri(name))
        is_old = bool(inside) and all(info.mtime.timestamp() < oldest for info in inside)
        if is_old and name.rpartition("/")[2] not in needed:
            found.append((name, sum(info.size for info in inside)))
    return found


def _announced(lake: Lake, table: str) -> set[str]:
    """The folders below a table whose files an announced publication is still to name."""
    shown = {(batch["stream"], batch["batch"]) for batch in lake.published()}
    return {
        folder
        for row in lake.rows("publications")
        if (row["stream"], row["batch"]) not in shown
        for name, folder in json.loads(row["staged"]).items()
        if name == table
    }
