"""What would be left of rows that are out of a table: files of older versions, and what the table's log says of files.

A version that names such a file can be read no longer, be it pinned. A log keeps which files a version had, and how
many rows; the bounds of their columns, which are values of rows, it keeps only of files that the newest version has.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from sluice.lake.files import remove
from sluice.lake.keeping.present import below_folder, files, folders
from sluice.lake.keeping.rewriting import Which, has
from sluice.lake.storage import place
from sluice.lake.tables import Lake

_LOG = "_delta_log"
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
    _quieten(lake, table)
    for path in gone:
        remove(f"{lake.uri(table)}/{path}")
    return len(gone)


def idle(lake: Lake, folder: str, *, idle_s: int = IDLE_S) -> list[str]:
    """The folders in one beside the tables that nobody has written to for a while: of runs that died, or are over."""
    oldest = time.time() - idle_s  # a file's age is the machine's matter
    names = [f"{folder}/{name}" for name in folders(lake.uri(folder))]
    return [
        name for name in names if all(info.mtime.timestamp() <= oldest for info in below_folder(lake.uri(name)))
    ]


def _below(lake: Lake, table: str) -> Iterator[str]:
    _, root = place(lake.uri(table))
    for info in below_folder(lake.uri(table)):
        path = info.path.removeprefix(f"{root}/")
        if path.endswith(".parquet") and not path.startswith(f"{_LOG}/"):
            yield path


def _quieten(lake: Lake, table: str) -> None:
    """Leave out of a table's log the bounds of files that its newest version does not name."""
    held = lake.open(table)
    if held is None:
        return
    filesystem, root = place(lake.uri(f"{table}/{_LOG}"))
    there = [info.path.removeprefix(f"{root}/") for info in below_folder(lake.uri(f"{table}/{_LOG}"))]
    if checkpoints := [name for name in there if ".checkpoint" in name]:
        held.create_checkpoint()
        newest = f"{held.version():020}."
        for name in checkpoints:
            if not name.startswith(newest):
                remove(lake.uri(f"{table}/{_LOG}/{name}"))
    named = {file.path for file in files(held)}
    for name in there:
        if name.endswith(".crc"):
            # of Spark, which writes it anew: it may list files with their bounds
            remove(lake.uri(f"{table}/{_LOG}/{name}"))
        elif name.endswith(".json") and "/" not in name:
            with filesystem.open_input_stream(f"{root}/{name}") as source:
                before = source.read()
            after = b"".join(_quiet(line, named) for line in before.splitlines(keepends=True))
            if after != before:
                # beside it first: a commit that is half written could be read by nobody
                with filesystem.open_output_stream(f"{root}/.{name}") as sink:
                    sink.write(after)
                filesystem.move(f"{root}/.{name}", f"{root}/{name}")


def _quiet(line: bytes, named: set[str]) -> bytes:
    """One action of a commit, without the bounds of a file that is named no longer."""
    action = json.loads(line)
    told: Mapping[str, Any] = action.get("add") or action.get("remove") or {}
    stats = json.loads(told.get("stats") or "{}")
    if told.get("path") in named or not {"minValues", "maxValues"} & stats.keys():
        return line
    kind = "add" if "add" in action else "remove"
    less = {name: value for name, value in stats.items() if name == "numRecords"}
    action[kind] = {**told, "stats": json.dumps(less)}
    return json.dumps(action, separators=(",", ":")).encode() + b"\n"
