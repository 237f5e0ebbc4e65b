"""As-of tables in the lake: `asof/<table>`, where every load is a Delta version of its own that holds the whole table.

A version is read as it was for as long as the table exists: vectors name the version that they looked at, and the audit
reads it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import deltalake
import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import DeltaError

from sluice.declare.asof import VALID_FROM, AsOf, AsOfTable
from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream, position
from sluice.engine.asof import Lookup, Lookups, encode_table
from sluice.errors import DataError
from sluice.lake.tables import Lake
from sluice.lake.typing import silver_type
from sluice.wording import command

_LOAD = "sluice.load"
"""The entry of a commit that tells where its rows are from."""


@dataclass(frozen=True)
class Load:
    """One version of a table: where its rows are from, how many they are, and when they were loaded (event clock)."""

    version: int
    source: str
    rows: int
    at: int


def place(table: str) -> str:
    """An as-of table's place in the lake."""
    return f"asof/{table}"


def contract_of(table: AsOfTable) -> Stream:
    """The table as a stream of rows without ids, so that the typing and the rules of ingest hold for it."""
    return Stream(table.name, id=position, time=VALID_FROM, columns=table.columns)


def newest(lake: Lake, pipeline: Pipeline) -> dict[str, int]:
    """The newest version of every table that a pipeline looks things up in; DataError names one that is missing."""
    found = {name: lake.version(place(name)) for name in pipeline.tables}
    for name, version in found.items():
        if version < 0:
            raise DataError(
                f"there is no table {place(name)!r}, which pipeline {pipeline.name!r} looks things up in",
                where=lake.root,
                next_step=f"load one: {command('tables', 'load', pipeline.reference, name)} FILE",
            )
    return found


def load(lake: Lake, pipeline: Pipeline, versions: Mapping[str, int] | None = None) -> Lookups:
    """What a pipeline looks things up in, at these versions of its tables or at the newest ones.

    DataError for a table or version that is not there, or that was loaded under another declaration.
    """
    chosen = newest(lake, pipeline) if versions is None else dict(versions)
    tables = {name: _read(lake, pipeline, table, chosen.get(name)) for name, table in pipeline.tables.items()}
    return Lookups.of(pipeline, tables, {name: chosen[name] for name in tables})


def lookup(lake: Lake, pipeline: Pipeline, view: AsOf, version: int) -> Lookup:
    """One view of a pipeline at a version of its table."""
    return Lookup.of(view, _read(lake, pipeline, pipeline.tables[view.table], version))


def publish(lake: Lake, table: AsOfTable, rows: pa.Table, *, source: str, at: int) -> tuple[int, bool]:
    """Make judged rows the newest version of their table; its number, and whether it is new.

    The same rows as the newest version's are no new version. Older versions stay, each with its commit.
    """
    order = [(name, "ascending") for name in (*table.keys, VALID_FROM)]
    ordered = rows.select([VALID_FROM, *table.columns]).sort_by(order)
    told = {_LOAD: json.dumps({"source": source, "rows": len(ordered), "at": at})}
    write = partial(_write, lake, table, ordered, told)
    return lake.commit(place(table.name), write)


def loads(lake: Lake, table: str) -> list[Load]:
    """Every load of a table, the newest first; none when nobody has loaded it."""
    found = lake.open(place(table))
    commits = [] if found is None else found.history()
    return [Load(version=commit["version"], **json.loads(commit[_LOAD])) for commit in commits if _LOAD in commit]


def _write(
    lake: Lake, table: AsOfTable, rows: pa.Table, told: Mapping[str, str], held: deltalake.DeltaTable | None
) -> tuple[int, bool]:
    name = place(table.name)
    if held is None:
        lake.create(name, rows, custom_metadata=dict(told))
        return 0, True
    version = int(held.version())
    if lake.read(name, version=version).equals(rows):
        return version, False
    # a commit that lost a race is judged anew by `Lake.commit`, on what is there then
    commit = deltalake.CommitProperties(custom_metadata=dict(told), max_commit_retries=0)
    deltalake.write_deltalake(held, rows, mode="overwrite", schema_mode="overwrite", commit_properties=commit)
    return version + 1, True


def _read(lake: Lake, pipeline: Pipeline, table: AsOfTable, version: int | None) -> pa.Table:
    """A version of a table, encoded."""
    name = place(table.name)
    if version is None:
        raise DataError(
            f"no version of {name!r} is named", where=lake.root, allowed="one for each table that the pipeline looks up"
        )
    try:
        rows = lake.read(name, version=version)
    except (DeltaError, pa.ArrowException, OSError) as error:
        raise DataError(
            f"version {version} of {name!r} cannot be read: {error}",
            where=lake.root,
            next_step="bring it back from a copy of the lake; what named it cannot be computed again without it",
        ) from error
    other = [column for column, kind in _types(table).items() if not _fits(rows, column, kind, table)]
    if other:
        raise DataError(
            f"version {version} of {name!r} was loaded under another declaration of {', '.join(map(repr, other))}",
            where=lake.root,
            next_step=f"load it anew: {command('tables', 'load', pipeline.reference, table.name)} FILE",
        )
    return encode_table(table, rows)


def _types(table: AsOfTable) -> dict[str, pa.DataType]:
    contract = contract_of(table)
    return {name: silver_type(contract, name) for name in (VALID_FROM, *table.columns)}


def _fits(rows: pa.Table, name: str, kind: pa.DataType, table: AsOfTable) -> bool:
    """Whether a column of a table is what is declared today: there, of its type, and a listed category where one is."""
    if name not in rows.column_names or rows.schema.field(name).type != kind:
        return False
    listed = table.columns[name].categories if name in table.columns else ()
    return not listed or set(pc.unique(rows.column(name)).to_pylist()) <= {*listed, None}
