"""The commands around gates: what they found of the batches, and who lets a stop pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pyarrow.dataset as ds
import typer
from rich.console import Console
from rich.table import Column, Table

from sluice.clock import open_clock, rfc3339
from sluice.decisions import Verdict
from sluice.declare.durations import duration, duration_text
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.errors import UserError
from sluice.lake.gates.verdict import GATES
from sluice.lake.incidents import incidents
from sluice.lake.tables import Lake
from sluice.lake.waivers import Waiver, grant, waivers
from sluice.settings import settings

gates = typer.Typer(
    help="Show what the gates found of the batches; let a batch pass a gate that stops it.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Gate = Annotated[str, typer.Argument(metavar="STREAM:GATE", help=f"The gate of a stream: {', '.join(GATES)}.")]
Batch = Annotated[str | None, typer.Option(help="The batch; every one by default.")]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]
Lasting = Annotated[str, typer.Option("--for", help="How long it holds, by the event clock: 2h, 3d.")]
Last = Annotated[int, typer.Option(min=1, help="How many batches, the newest first.")]


@gates.command()
def show(pipeline: Pipeline, batch: Batch = None, last: Last = 10) -> None:
    """Show what the gates found of the newest batches at their last attempt, and the waivers that hold."""
    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    where = None if batch is None else ds.field("batch") == batch
    found = lake.rows("verdicts", where=where)
    if batch is not None and not found:
        raise UserError.unknown("batch", batch, {row["batch"] for row in lake.rows("verdicts")}, where="--batch")
    shown = verdicts(found, last=None if batch else last)
    Console().print(shown if found else f"No batch of {declared.name!r} has been judged yet.")
    _show_waivers(lake)
    for one in incidents(lake):
        typer.echo(f"open incident, what is derived waits: {one}")


def verdicts(found: Sequence[Mapping[str, Any]], *, last: int | None = None, notable: bool = False) -> Table:
    """What the gates found at the last attempt of the newest batches; with `notable` but for what simply passed."""
    attempts: dict[tuple[str, str], int] = {}
    for row in found:
        key = row["batch"], row["stream"]
        attempts[key] = max(row["at"], attempts.get(key, row["at"]))
    shown = Table(
        "batch", "stream", Column("judged", no_wrap=True), "gate", "verdict", "found", box=None, pad_edge=False
    )
    for key in sorted(attempts, key=lambda key: -attempts[key])[:last]:
        for row in found:
            passed = notable and row["verdict"] == Verdict.PASS.value
            if (row["batch"], row["stream"]) == key and row["at"] == attempts[key] and not passed:
                shown.add_row(*key, rfc3339(row["at"]), row["rule"], row["verdict"], row["message"])
    return shown


@gates.command()
def waive(
    pipeline: Pipeline, gate: Gate, by: By, because: Because, lasting: Lasting = "1d", batch: Batch = None
) -> None:
    """Let a batch pass a gate that stops it: a record with person, reason and end. Then ingest the batch again."""
    declared = load_pipeline(pipeline)
    stream, _, rule = gate.partition(":")
    if not rule:
        raise UserError(f"{gate!r} has no ':' between a stream and a gate", where="STREAM:GATE", allowed=GATES)
    now = open_clock(settings().places.clock).now()
    until = now + duration(lasting, where="--for")
    grant(_lake(declared), Waiver(declared.stream(stream).name, rule, batch, by, because, now, until))
    whom = "every batch" if batch is None else f"batch {batch!r}"
    typer.echo(f"{gate} does not stop {whom} for {duration_text(until - now)}, until {rfc3339(until)}.")


def _show_waivers(lake: Lake) -> None:
    now = open_clock(settings().places.clock).now()
    holding = [one for one in waivers(lake) if now < one.until]
    for one in holding:
        whom = "every batch" if one.batch is None else f"batch {one.batch!r}"
        typer.echo(f"{one.stream}:{one.rule} waived for {whom} by {one.by} until {rfc3339(one.until)}: {one.because}")


def _lake(declared: Declared) -> Lake:
    return Lake(settings().places.lake_uri, declared.name)
