"""Tables that are open: a log is read once, and again only when it has gone on.

What is handed out is never moved to another version, so that it may be shared; who writes opens the table for itself.
"""

from __future__ import annotations

from typing import NamedTuple

import deltalake
import pyarrow.fs
from deltalake.exceptions import TableNotFoundError

from sluice.lake.storage import options, place


class _Held(NamedTuple):
    table: deltalake.DeltaTable
    end: tuple[int | None, int | None] | None
    """When its newest commit was written, and how big it is; None when it was not the last one by then."""


class Opened:
    """The newest version of each table that was asked for."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def newest(self, uri: str) -> deltalake.DeltaTable | None:
        """A table as it is now; None while nobody has written it."""
        held = self._held.get(uri)
        if held is not None and held.end is not None and held.end == _end(uri, held.table.version()):
            return held.table
        found = open_table(uri)
        if found is not None:
            self.keep(uri, found)
        return found

    def keep(self, uri: str, found: deltalake.DeltaTable) -> None:
        """Hand out this one from now on; its version must not be moved any more."""
        self._held[uri] = _Held(found, _end(uri, found.version()))


def open_table(uri: str, version: int | None = None) -> deltalake.DeltaTable | None:
    """A table of one's own, as it is now or was at a version; None while nobody has written it."""
    try:
        return deltalake.DeltaTable(uri, version=version, storage_options=options(uri))
    except TableNotFoundError:
        return None


def _end(uri: str, version: int) -> tuple[int | None, int | None] | None:
    """What tells a commit from another of the same number; None when it is gone, or another has followed."""
    filesystem, root = place(uri)
    names = [f"{root}/_delta_log/{number:020}.json" for number in (version, version + 1)]
    own, following = filesystem.get_file_info(names)
    if own.type != pyarrow.fs.FileType.File or following.type != pyarrow.fs.FileType.NotFound:
        return None
    return own.mtime_ns, own.size
