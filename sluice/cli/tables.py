"""The commands around as-of tables: load a file, make a calendar of holidays, show what is there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli import screen
from sluice.clock import open_clock, rfc3339
from sluice.declare.asof import AsOfTable
from sluice.declare.checks import one_of
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.errors import DataError, UserError
from sluice.wording import command

if TYPE_CHECKING:
    from sluice.lake.asof_rows import Judged
    from sluice.lake.lineage.datasets import Dataset
    from sluice.lake.tables import Lake

SHOWN = 20
"""Refused rows that are named; the others are counted."""

tables = typer.Typer(
    help="Load the tables that a pipeline looks things up in; make a calendar of holidays; show them.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Name = Annotated[str, typer.Argument(help="A table that an as-of view of the pipeline names.")]
File = Annotated[
    Path, typer.Argument(help="Parquet, CSV or JSON lines: the whole table, which replaces the one before.")
]
Countries = Annotated[str, typer.Option(help="ISO codes of countries, such as FR,DE.")]
Years = Annotated[str, typer.Option(help="A year, or the first and the last one: 2024-2027.")]
Into = Annotated[str, typer.Option(help="The table to load.")]


@tables.command()
def load(pipeline: Pipeline, table: Name, file: File) -> None:
    """Load a file as the newest version of a table; with one bad row nothing is loaded, and the rows are named."""
    from sluice.lake.asof_rows import judge, rows_of
    from sluice.lake.landing import source_of
    from sluice.lake.lineage.datasets import file_of

    declared = load_pipeline(pipeline)
    wanted, now = _wanted(declared, table), _now()
    with _told(declared, wanted, [file_of(str(file))], now):
        _publish(declared, wanted, judge(wanted, rows_of(wanted, file)), f"{file.name} ({source_of(file)})", now)


@tables.command()
def holidays(pipeline: Pipeline, countries: Countries, years: Years, table: Into = "holidays") -> None:
    """Load the public holidays of some countries, a row for each day, as the newest version of a table."""
    from sluice.lake.asof_rows import judge
    from sluice.lake.holidays import holiday_rows, source

    declared = load_pipeline(pipeline)
    wanted, named, spanned, now = _wanted(declared, table), _listed(countries), _years(years), _now()
    with _told(declared, wanted, [], now):
        _publish(declared, wanted, judge(wanted, holiday_rows(wanted, named, spanned)), source(named, spanned), now)


@tables.command()
def show(pipeline: Pipeline) -> None:
    """Show every table that a pipeline looks things up in, with all its versions and where they are from."""
    from sluice.lake.asof import loads

    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    if not declared.tables:
        typer.echo(f"Pipeline {declared.name!r} looks nothing up.")
        return
    shown = screen.table("table", "version", "rows", "loaded", "from", right=["version", "rows"], whole=["loaded"])
    for name in declared.tables:
        for one in loads(lake, name):
            shown.add_row(name, str(one.version), f"{one.rows:,}", rfc3339(one.at), one.source)
        if not loads(lake, name):
            shown.add_row(name, "-", "-", "-", f"missing: {command('tables', 'load', pipeline, name)} FILE")
    screen.show(shown)


def _wanted(declared: Declared, table: str) -> AsOfTable:
    if not declared.tables:
        raise UserError(
            f"pipeline {declared.name!r} looks nothing up",
            next_step=f"declare a view of the table: AsOf(…, table={table!r}, …)",
        )
    return declared.tables[one_of(table, declared.tables, where=f"Pipeline({declared.name!r})", kind="as-of table")]


def _told(declared: Declared, table: AsOfTable, reads: Sequence[Dataset], at: int) -> AbstractContextManager[None]:
    """Tell of the loading of a table as a run."""
    from sluice.lake.asof import place
    from sluice.lake.lineage.datasets import Run, tables_of
    from sluice.lake.lineage.runs import told_run

    lake = _lake(declared)
    return told_run(declared.name, "load", lambda: Run(reads, tables_of(lake, [place(table.name)])), at=at)


def _publish(declared: Declared, table: AsOfTable, judged: Judged, told: str, at: int) -> None:
    from sluice.lake.asof import place, publish

    for refused in judged.refused[:SHOWN]:
        typer.echo(str(refused))
    if judged.refused:
        raise DataError(
            f"{len(judged.refused):,} rows are refused, and nothing is loaded",
            where=f"table {table.name!r}",
            next_step="mend them, and load the whole table again",
        )
    version, new = publish(_lake(declared), table, judged.accepted, source=told, at=at)
    said = f"{len(judged.accepted):,} rows" if new else "the same rows as before: there is no new version"
    typer.echo(f"{place(table.name)}@{version}: {said}")


def _lake(declared: Declared) -> Lake:
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    return Lake(settings().places.lake_uri, declared.name)


def _now() -> int:
    from sluice.settings import settings

    return open_clock(settings().places.clock).now()


def _listed(text: str) -> list[str]:
    return [part.strip().upper() for part in text.split(",") if part.strip()]


def _years(text: str) -> range:
    first, _, last = (part.strip() for part in text.partition("-"))
    if not (first.isdecimal() and (last or first).isdecimal() and 1900 <= int(first) <= int(last or first) <= 2100):
        raise UserError(f"{text!r} are no years", where="--years", allowed="2026, or 2024-2027; from 1900 to 2100")
    return range(int(first), int(last or first) + 1)
