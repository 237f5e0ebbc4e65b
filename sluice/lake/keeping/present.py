"""What there is below a lake: its tables, the files of each, and how big they are."""

from __future__ import annotations

from dataclasses import dataclass

import deltalake
import pyarrow as pa
import pyarrow.fs

from sluice.lake.storage import place
from sluice.lake.tables import Lake

_LOG = "_delta_log"


@dataclass(frozen=True)
class File:
    """A file that the newest version of a table names."""

    path: str
    """Below the table."""
    bytes: int
    rows: int


def tables(lake: Lake) -> list[str]:
    """The tables of a lake by name, in order."""
    found = []
    for name in folders(lake.root):
        if _is_table(lake.uri(name)):
            found.append(name)
        else:
            found += [f"{name}/{inner}" for inner in folders(lake.uri(name)) if _is_table(lake.uri(f"{name}/{inner}"))]
    return sorted(found)


def files(held: deltalake.DeltaTable) -> list[File]:
    """The files of a table as it is now."""
    rows = pa.table(held.get_add_actions()).select(["path", "size_bytes", "num_records"]).to_pylist()
    return [File(row["path"], row["size_bytes"], row["num_records"] or 0) for row in rows]


def below_folder(uri: str) -> list[pyarrow.fs.FileInfo]:
    """Every file below a folder, however deep; none when it is not there."""
    filesystem, root = place(uri)
    selector = pyarrow.fs.FileSelector(root, recursive=True, allow_not_found=True)
    return [info for info in filesystem.get_file_info(selector) if info.is_file]


def folders(uri: str) -> list[str]:
    """The folders in a folder by name, in order, but for those that are a table's own."""
    filesystem, root = place(uri)
    found = filesystem.get_file_info(pyarrow.fs.FileSelector(root, allow_not_found=True))
    kept = [info.base_name for info in found if info.type == pyarrow.fs.FileType.Directory]
    return sorted(name for name in kept if not name.startswith(("_", ".")))


def _is_table(uri: str) -> bool:
    filesystem, root = place(f"{uri}/{_LOG}")
    return bool(filesystem.get_file_info(root).type == pyarrow.fs.FileType.Directory)
