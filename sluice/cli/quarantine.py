"""The commands around refused rows: list them, show them, put them back mended."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table

from sluice.cli.replaying import Again
from sluice.clock import open_clock
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.errors import UserError
from sluice.lake.contract import format_of
from sluice.lake.refused import Wanted, groups, refused
from sluice.lake.repairs import Repair, controlled, edited, shown
from sluice.lake.schemas import kept
from sluice.lake.tables import Lake
from sluice.settings import settings

quarantine = typer.Typer(
    help="List the rows that were refused, show them, and put them back mended.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Named = Annotated[str | None, typer.Option("--stream", help="Only rows of this stream.")]
Batch = Annotated[str | None, typer.Option(help="Only rows of this batch.")]
Rule = Annotated[str | None, typer.Option(help="Only rows that this rule refused.")]
Places = Annotated[
    list[str] | None, typer.Option("--place", help="Only the row at this place, SOURCE/PARTITION/POSITION; repeatable.")
]
Most = Annotated[int, typer.Option(min=1, help="How many rows.")]
Out = Annotated[Path | None, typer.Option(help="Write all of them to this file, JSON lines, to be mended.")]
Values = Annotated[
    list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="A value for every row, JSON or plain text.")
]
Renamed = Annotated[
    list[str] | None, typer.Option("--rename", metavar="COLUMN=NAME", help="What the rows call a declared column.")
]
Edited = Annotated[
    Path | None, typer.Option("--file", help="Rows as `show --out` wrote them and a person edited them.")
]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]


@quarantine.command("list")
def list_(pipeline: Pipeline, stream: Named = None, batch: Batch = None, rule: Rule = None) -> None:
    """List what was refused, batch by batch and reason by reason, and how much of it is back.

    Rows that are waiting can be replayed. Held ones are of a batch that is stopped, and are mended with it.
    """
    declared = load_pipeline(pipeline)
    listed = Table(
        "stream", "batch", "rule", "column", Column("rows", justify="right"), "such as", "allowed", "state",
        box=None, pad_edge=False,
    )  # fmt: skip
    found = groups(_lake(declared), _streams(declared, stream), Wanted(batch, rule))
    for one in found:
        states = ", ".join(f"{count:,} {state}" for state, count in one.states.items() if count)
        listed.add_row(one.stream, one.batch, one.rule, one.column, f"{one.rows:,}", one.value, one.allowed, states)
    Console().print(listed if found else "No row has been refused.")


@quarantine.command()
def show(
    pipeline: Pipeline,
    stream: Named = None,
    batch: Batch = None,
    rule: Rule = None,
    place: Places = None,
    most: Most = 20,
    out: Out = None,
) -> None:
    """Show refused rows, each a JSON object: what is wrong with it, where it is from, and its columns."""
    declared = load_pipeline(pipeline)
    lake, wanted, streams = _lake(declared), Wanted(batch, rule, place or ()), _streams(declared, stream)
    schemas = kept(lake)
    rows = (
        shown(row, control, format_of(declared.stream(name), row.place.source), schemas)
        for name in streams
        for row, control in controlled(lake, name, refused(lake, name, wanted))
    )
    if out is None:
        for row in islice(rows, most):
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    with out.open("wb") as file:
        written = sum(1 for row in rows if file.write(orjson.dumps(row) + b"\n"))
    typer.echo(f"{written:,} rows in {out}: mend them, then sluice quarantine replay {pipeline} --file {out}")


@quarantine.command()
def replay(
    pipeline: Pipeline,
    by: By,
    because: Because,
    stream: Named = None,
    batch: Batch = None,
    rule: Rule = None,
    place: Places = None,
    values: Values = None,
    rename: Renamed = None,
    file: Edited = None,
) -> None:
    """Put rows that wait back into history, each once: mended, or as they are where the declaration was wrong.

    They go through the same contract as any other row: one that is refused again is in quarantine once more. Rows of
    files become a batch of their own; rows of topics are sent to their topic again, so that the online store learns
    of them too. What a replay that was killed has left is done first.
    """
    declared = load_pipeline(pipeline)
    again = Again(pipeline, declared, _lake(declared), open_clock(settings().places.clock).now())
    for line in again.finish_others():
        typer.echo(line)
    wanted = Wanted(batch, rule, place or ())
    repair = Repair(dict(map(_value, values or [])), dict(_pair(text, "--rename") for text in rename or []))
    waiting = again.waiting(_streams(declared, stream), wanted, repair, None if file is None else edited(file))
    if not waiting:
        raise UserError("no refused row waits for that", where="replay", next_step=f"sluice quarantine list {pipeline}")
    for name, rows in waiting.items():
        for line in again.bring(name, rows, by=by, because=because):
            typer.echo(line)


@quarantine.command()
def resume(pipeline: Pipeline) -> None:
    """Go on with replays that were begun and died before their rows were back."""
    declared = load_pipeline(pipeline)
    again = Again(pipeline, declared, _lake(declared), open_clock(settings().places.clock).now())
    told = list(again.finish_others())
    for line in told or ["No replay is left unfinished."]:
        typer.echo(line)


def _streams(declared: Declared, named: str | None) -> list[str]:
    return [stream.name for stream in declared.streams] if named is None else [declared.stream(named).name]


def _value(text: str) -> tuple[str, Any]:
    column, value = _pair(text, "--set")
    try:
        return column, orjson.loads(value)
    except orjson.JSONDecodeError:
        return column, value


def _pair(text: str, option: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not left or not sign:
        raise UserError(f"{text!r} has no '=' between a column and what follows", where=option)
    return left, right


def _lake(declared: Declared) -> Lake:
    return Lake(settings().places.lake_uri, declared.name)
