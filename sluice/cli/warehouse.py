"""The commands around a warehouse: rows of it into history, features and predictions back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.clock import open_clock
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared

if TYPE_CHECKING:
    from sluice.lake.imports import Import
    from sluice.lake.tables import Lake

warehouse = typer.Typer(
    help="Import streams from a warehouse, from where it was left; export features and predictions into it.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Streams = Annotated[
    list[str] | None, typer.Option("--stream", help="Only this stream; repeatable. All that declare a warehouse.")
]
Batch = Annotated[str | None, typer.Option(help="The import's name; by default `warehouse-` and its moment.")]
At = Annotated[
    str | None,
    typer.Option(help="The moment that freshness is measured from, RFC 3339; by default now, by the event clock."),
]
Whole = Annotated[bool, typer.Option("--whole", help="Read everything again; what is there already is a duplicate.")]
Exported = Annotated[str, typer.Argument(metavar="TABLE", help="One of vectors, vectors_as_served, predictions.")]
Into = Annotated[str | None, typer.Option(help="The table in the warehouse; by default PIPELINE_TABLE.")]
Version = Annotated[int | None, typer.Option(help="The version of the table; by default the newest.")]


@warehouse.command("import")
def import_(
    pipeline: Pipeline, streams: Streams = None, batch: Batch = None, at: At = None, *, whole: Whole = False
) -> None:
    """Bring what is new in the warehouse through the contract and the gates into history.

    Each stream that declares a warehouse is read from the watermark that it has reached, less the overlap; what is read
    twice is a duplicate. An import that died is finished first, and nothing is lost or doubled.
    """
    from sluice.cli.landed import told
    from sluice.lake.imports import announced, sources_of, unfinished
    from sluice.lake.tables import Lake
    from sluice.lake.typing import instant
    from sluice.local.jars import jdbc_jars
    from sluice.local.spark import run_job
    from sluice.settings import settings

    here = settings()
    here.warehouse.address()  # that none is named is told before anything is started
    declared = load_pipeline(pipeline)
    sources_of(declared, streams or [])
    lake = Lake(here.places.lake_uri, declared.name)
    now = open_clock(here.places.clock).now() if at is None else instant(at, "--at")
    name = batch or f"warehouse-{now}"
    arguments = ["import", "--pipeline", pipeline, "--lake", here.places.lake_uri, "--batch", name, "--at", str(now)]
    arguments += ["--folder", str(here.places.at("imports", declared.name)), *["--whole"] * whole]
    for stream in streams or []:
        arguments += ["--stream", stream]
    before, left = {one.batch for one in announced(lake)}, unfinished(lake, declared)
    if name in before and not left:
        typer.echo(f"batch {name!r} was imported already; nothing is read under its name again")
        return
    read: list[Import] = []
    with told(declared, lake, list(dict.fromkeys([*left, name]))):
        try:
            run_job(here, "warehouse", arguments, jdbc_jars())
        finally:
            read = [one for one in announced(lake) if one.batch in left or one.batch not in before]
            for one in read:
                typer.echo(_told(one))
    for line in _quiet(declared, lake, streams, {one.stream for one in read}):
        typer.echo(line)


@warehouse.command()
def export(pipeline: Pipeline, table: Exported, into: Into = None, version: Version = None) -> None:
    """Bring features or predictions into a table of the warehouse: all of a version or nothing, and each once.

    A staging table is filled beside it, and one transaction takes the rows over. What has only grown since the last
    export is sent in part, anything else as a whole.
    """
    from sluice.lake.exports import exported
    from sluice.lake.tables import Lake
    from sluice.local.jars import jdbc_jars
    from sluice.local.spark import run_job
    from sluice.settings import settings

    here = settings()
    here.warehouse.address()  # that none is named is told before anything is started
    declared = load_pipeline(pipeline)
    lake, target = Lake(here.places.lake_uri, declared.name), into or f"{declared.name}_{table}"
    exported(lake, table, version)
    chosen = lake.version(table) if version is None else version
    now = open_clock(here.places.clock).now()
    arguments = ["export", "--pipeline", pipeline, "--lake", here.places.lake_uri, "--table", table, "--at", str(now)]
    arguments += ["--into", target, "--version", str(chosen)]
    run_job(here, "warehouse", arguments, jdbc_jars())
    typer.echo(f"{target} has {table}@{chosen}: {_rows(lake, table, chosen):,} rows")


def _told(one: Import) -> str:
    since = "from the beginning" if one.since is None else f"from {one.since}"
    return f"{one.stream}: read {one.rows:,} rows, {since} to {one.until}"


def _quiet(declared: Declared, lake: Lake, streams: Collection[str] | None, read: Collection[str]) -> Iterator[str]:
    """The streams that had no news."""
    from sluice.lake.imports import reached

    for stream in declared.streams:
        asked = stream.name in (streams or [stream.name]) and stream.name not in read
        if asked and stream.warehouse is not None:
            last = reached(lake, stream.name, stream.warehouse)
            yield f"{stream.name}: nothing new" + ("" if last is None else f" since {last.until}")


def _rows(lake: Lake, table: str, version: int) -> int:
    found: Any = lake.open(table, version)
    return int(lake.dataset(found).count_rows())
