"""What a table's log says of files: which ones a version had, and how many rows; and the bounds of their columns.

Bounds are values of rows. They stay only of files that the newest version has; readers of an older one skip no file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import deltalake

from sluice.lake.files import remove
from sluice.lake.keeping.present import below_folder, files
from sluice.lake.storage import place
from sluice.lake.tables import Lake

LOG = "_delta_log"
_BOUNDS = {"minValues", "maxValues"}


def quieten(lake: Lake, table: str) -> None:
    """Leave out of a table's log the bounds of files that its newest version does not name."""
    held = lake.open(table)
    if held is None:
        return
    _, root = place(lake.uri(f"{table}/{LOG}"))
    names = [info.path.removeprefix(f"{root}/") for info in below_folder(lake.uri(f"{table}/{LOG}"))]
    gone = _checkpoints(held, [name for name in names if ".checkpoint" in name])
    # Spark's own, which it writes anew: they may list files with their bounds
    gone += [name for name in names if name.endswith(".crc")]
    for name in gone:
        remove(lake.uri(f"{table}/{LOG}/{name}"))
    named = {file.path for file in files(held)}
    for name in names:
        if name.endswith(".json") and "/" not in name:
            _quieten(lake.uri(f"{table}/{LOG}"), name, named)


def _checkpoints(held: deltalake.DeltaTable, names: list[str]) -> list[str]:
    """The checkpoints that a new one of the newest version stands in for."""
    if not names:
        return []
    held.create_checkpoint()
    return [name for name in names if not name.startswith(f"{held.version():020}.")]


def _quieten(log: str, name: str, named: set[str]) -> None:
    filesystem, root = place(log)
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
    kind = "add" if "add" in action else "remove"
    told: Mapping[str, Any] = action.get(kind) or {}
    stats = json.loads(told.get("stats") or "{}")
    if told.get("path") in named or not _BOUNDS & stats.keys():
        return line
    action[kind] = {**told, "stats": json.dumps({"numRecords": stats.get("numRecords")})}
    return json.dumps(action, separators=(",", ":")).encode() + b"\n"
