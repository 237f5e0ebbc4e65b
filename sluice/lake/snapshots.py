"""Delta tables as deliveries: a version of one is its data files, and each of them is a source of its own.

A data file never changes, and versions share most of theirs. So the same version again adds nothing, and a later one
adds the files that are new in it. A file that was rewritten (by an update, or to compact the table) is a new one: rows
that it has from before are the same events, and no new ones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import deltalake
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from sluice.errors import DataError, UserError
from sluice.lake.files import is_delta
from sluice.lake.rowfiles import CHUNK, Row, plain_rows
from sluice.lake.storage import below, options

SOURCE = "delta:"
"""What the name of a data file as a source begins with; the table's id and its path below the table follow."""


@dataclass(frozen=True)
class Snapshot:
    """One version of a table: its columns, and the data files that it has, each as a source with its bytes."""

    name: str
    """`place@version`, which names it for ever."""
    columns: Sequence[str]
    sources: Mapping[str, int]


def snapshot(text: str) -> Snapshot | None:
    """The version that a delivery names, `place` or `place@version`; None where it names no Delta table.

    UserError for a version that there is not, DataError for a table without rows, or one that cannot be read.
    """
    place = _place(text)
    if place is None:
        return None
    table = _opened(*place)
    identity, version = str(table.metadata().id), int(table.version())
    sizes = _sizes(table)
    if not sizes:
        raise DataError("the table has no rows", where=text, next_step="deliver a version that has")
    files = _files(place[0], version, identity)
    sources = {f"{SOURCE}{identity}/{path}": sizes[path] for path in sorted(files)}
    return Snapshot(f"{_absolute(place[0])}@{version}", [field.name for field in table.schema().fields], sources)


def names_table(text: str) -> bool:
    """Whether a delivery names a Delta table, and no file."""
    return _place(text) is not None


def pinned(text: str) -> str:
    """What a delivery names, with the newest version where it is a Delta table without one."""
    place = _place(text)
    return text if place is None or place[1] is not None else f"{text}@{_opened(*place).version()}"


def read_source(name: str, source: str, *, columns: Sequence[str] | None = None) -> Iterator[tuple[int, list[Row]]]:
    """The rows of a data file in chunks, each with its first row's number; DataError where the file cannot be read.

    `name` is that of a snapshot that has it. With `columns` no others are read.
    """
    place, _, version = name.rpartition("@")
    identity, _, path = source.removeprefix(SOURCE).partition("/")
    first = 0
    try:
        fragment, schema = _files(place, int(version), identity)[path]
        chosen = schema.names if columns is None else [one for one in schema.names if one in columns]
        how = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
        # one thread after the other, so that rows have the numbers of the file
        for batch in fragment.to_batches(
            schema=schema, columns=chosen, batch_size=CHUNK, use_threads=False, fragment_scan_options=how
        ):
            yield first, plain_rows(batch)
            first += len(batch)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"data file {path} cannot be read ({str(error).splitlines()[0]})",
            where=name,
            next_step="deliver a version whose files are all there (vacuum removes those of old ones)",
        ) from error


def _place(text: str) -> tuple[str, int | None] | None:
    """Where a table is, and which version is asked for; None for what is no table."""
    place, sign, number = text.rpartition("@")
    if sign and number.isdecimal() and _is_table(place):
        return place, int(number)
    return (text, None) if _is_table(text) else None


def _is_table(place: str) -> bool:
    return "://" in place or is_delta(Path(place))


def _absolute(place: str) -> str:
    return place if "://" in place else str(Path(place).resolve())


def _opened(place: str, version: int | None = None) -> deltalake.DeltaTable:
    try:
        table = deltalake.DeltaTable(place, storage_options=options(place))
        newest = table.version()
        if version is not None and version != newest:
            if version > newest:
                raise UserError(f"there is no version {version}", where=place, allowed=f"0 to {newest}")
            table.load_as_version(version)
    except TableNotFoundError:
        raise UserError("there is no Delta table", where=place) from None
    except DeltaError as error:
        raise UserError(f"the Delta table cannot be read ({error})", where=place) from error
    return table


@functools.lru_cache(maxsize=4)
def _files(place: str, version: int, identity: str) -> Mapping[str, tuple[ds.Fragment, pa.Schema]]:
    """The data files of a version by their paths, each with the columns of the table that are its folder's.

    The table's id is part of what is asked for: another table may come to the same place.
    """
    table = _opened(place, version)
    if str(table.metadata().id) != identity:
        raise DataError("another table is there now", where=place, next_step="deliver it again")
    if table.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        raise _beyond(place, "the names of its columns are mapped to others in its files")
    try:
        found = table.to_pyarrow_dataset(filesystem=below(place))
    except DeltaProtocolError as error:
        raise _beyond(place, str(error)) from error
    return {fragment.path: (fragment, found.schema) for fragment in found.get_fragments()}


def _beyond(place: str, what: str) -> DataError:
    return DataError(
        f"the table uses what is not read here ({what})",
        where=place,
        next_step="deliver a copy without it, such as CREATE TABLE … AS SELECT makes",
    )


def _sizes(table: deltalake.DeltaTable) -> dict[str, int]:
    """The bytes of each data file, by its path."""
    actions = pa.table(table.get_add_actions()).select(["path", "size_bytes"]).to_pydict()
    return dict(zip(map(unquote, actions["path"]), actions["size_bytes"], strict=True))
