"""Both streams as batch files, one folder per stream, one parquet file per day or week of arrival."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sluice.errors import UserError
from sluice.local.simulator.delivery import FATES
from sluice.local.simulator.injections import SchemaBreak
from sluice.local.simulator.simulation import Simulation
from sluice.local.simulator.tables import SCHEMAS

_UNPARSABLE = FATES.index("unparsable")


def write_history(
    simulation: Simulation, folder: Path, until_day: int, *, from_day: int = 0, days_per_file: int = 1
) -> list[Path]:
    """Write what arrives before `until_day` as `folder/<stream>/<first day>.parquet`; the paths, by stream and day.

    A file holds the rows that arrive on its days, in order of arrival, under the stream's own columns; a day without
    rows has no file. The file of a schema break is written broken; `write_repair` writes it whole.
    """
    return [
        path
        for stream in SCHEMAS
        for first in range(from_day, until_day, days_per_file)
        for path in _write(simulation, folder, stream, first, min(first + days_per_file, until_day), broken=True)
    ]


def write_repair(
    simulation: Simulation, folder: Path, until_day: int, *, from_day: int = 0, days_per_file: int = 1
) -> Path:
    """Write the file that the schema break spoilt as it should have been; the arguments are those of the history."""
    flaw = simulation.injections.schema_break
    if flaw is None or not from_day <= flaw.day < until_day:
        raise UserError(
            "there is no schema break to repair",
            where="write_repair",
            allowed=f"a break on days {from_day} to {until_day - 1}",
            next_step="simulate with Injections(schema_break=...)",
        )
    first = flaw.day - (flaw.day - from_day) % days_per_file
    last = min(first + days_per_file, until_day)
    return _write(simulation, folder, flaw.stream, first, last, broken=False)[0]


def _write(simulation: Simulation, folder: Path, stream: str, first: int, until: int, *, broken: bool) -> list[Path]:
    rows = simulation.arriving(stream, first, until)
    if not len(rows):
        return []
    flaw, table = simulation.injections.schema_break, _blanked(rows).select(SCHEMAS[stream].names)
    if broken and flaw and flaw.stream == stream and first <= flaw.day < until:
        table = _break(table, flaw)
    path = folder / stream / f"{simulation.world.date(first)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return [path]


def _blanked(rows: pa.Table) -> pa.Table:
    """Unparsable rows as a file can hold them: nothing but nulls."""
    readable = pc.not_equal(rows.column("fate"), _UNPARSABLE)
    columns = [pc.if_else(readable, column, pa.scalar(None, column.type)) for column in rows.columns]
    return pa.Table.from_arrays(columns, schema=rows.schema)


def _break(table: pa.Table, flaw: SchemaBreak) -> pa.Table:
    at = table.schema.get_field_index(flaw.column)
    if flaw.how == "rename":
        return table.rename_columns({flaw.column: f"{flaw.column}_2"})
    return table.set_column(at, flaw.column, pc.cast(table.column(at), pa.string()))
