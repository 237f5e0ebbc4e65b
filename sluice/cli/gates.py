"""The commands around gates: what they found of the batches, and who lets a stop pass."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.errors import UserError
from sluice.wording import command, listed

if TYPE_CHECKING:
    from sluice.declare.pipeline import Pipeline as Declared
    from sluice.lake.attempts import Attempt
    from sluice.lake.tables import Lake
    from sluice.lake.waivers import Waiver

gates = typer.Typer(
    help="Show what the gates found of the batches; let a batch pass a gate that stops it, or no longer.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Gate = Annotated[
    str, typer.Argument(metavar="STREAM:GATE", help="The gate of a stream, as `sluice gates show --all` names them.")
]
Shown = Annotated[str | None, typer.Option("--batch", help="Only this batch.")]
Batch = Annotated[str | None, typer.Option(help="The batch that is let pass; every one without it.")]
Withdrawn = Annotated[
    str | None, typer.Option("--batch", help="The batch that it was for; without it the one for every batch.")
]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]
Lasting = Annotated[str, typer.Option("--for", help="How long it holds, by the event clock: 2h, 3d.")]
Most = Annotated[int, typer.Option(min=1, help="How many batches, the newest first.")]
All = Annotated[bool, typer.Option("--all", help="Also what the gates say that simply passed.")]


@gates.command()
def show(pipeline: Pipeline, batch: Shown = None, most: Most = 10, *, whole: All = False) -> None:
    """Show what the gates found of the newest batches at their last attempt, and the waivers that hold.

    Gates that passed are counted. Of a batch that is stopped, the commands that let it in are told.
    """
    import pyarrow.dataset as ds

    from sluice.declare.loading import load_pipeline
    from sluice.lake.attempts import last_attempts
    from sluice.lake.incidents import incidents

    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    where = None if batch is None else ds.field("batch") == batch
    attempts = last_attempts(lake.rows("verdicts", where=where))
    if batch is not None and not attempts:
        raise UserError.unknown("batch", batch, {row["batch"] for row in lake.rows("verdicts")}, where="--batch")
    names = list(dict.fromkeys(one.batch for one in attempts))[:most]
    tell(declared, lake, [one for one in attempts if one.batch in names], whole=whole)
    if not attempts:
        typer.echo(f"No batch of {declared.name!r} has been judged yet.")
    for waiver in _holding(lake):
        typer.echo(str(waiver))
    for incident in incidents(lake):
        typer.echo(f"open incident, what is derived waits: {incident}")


def tell(declared: Declared, lake: Lake, attempts: Sequence[Attempt], *, whole: bool = False) -> None:
    """Print what the gates found, a block for each batch of a stream, and what comes next of one that is stopped."""
    from sluice.cli.findings import block, steps
    from sluice.cli.screen import width

    shown = {(row["stream"], row["batch"]) for row in lake.published()}
    for place, one in enumerate(attempts):
        seen = (one.stream, one.batch) in shown
        typer.echo("\n" * bool(place), nl=False)
        of_batch = [each for each in attempts if each.batch == one.batch]
        for line in [*block(one, width(), whole=whole), *steps(declared, one, of_batch, shown=seen)]:
            typer.echo(line)


@gates.command()
def waive(
    pipeline: Pipeline, gate: Gate, by: By, because: Because, lasting: Lasting = "1d", batch: Batch = None
) -> None:
    """Let a batch pass a gate that stops it: a record with person, reason and end. Then ingest the batch again.

    Without --batch it is for every batch that is judged before it ends. It may be granted before the batch comes.
    """
    from sluice.clock import open_clock, to_second
    from sluice.declare.durations import duration, duration_text
    from sluice.declare.loading import load_pipeline
    from sluice.lake.waivers import Waiver, grant
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    stream, rule = _gate(declared, gate)
    now = open_clock(settings().places.clock).now()
    until = now + duration(lasting, where="--for")
    lake, given = _lake(declared), Waiver(stream, rule, batch, by, because, now, until)
    grant(lake, given)
    whom = "any batch, whichever comes," if batch is None else f"batch {batch!r}"
    typer.echo(f"{gate} does not stop {whom} for {duration_text(until - now)}, until {to_second(until)}.")
    for line in _what_it_meets(declared, lake, given):
        typer.echo(line)


@gates.command()
def withdraw(pipeline: Pipeline, gate: Gate, by: By, because: Because, batch: Withdrawn = None) -> None:
    """Withdraw a waiver: from now on the gate stops again. A record with person and reason; the waiver stays on record.

    What it has let pass stays history. An incident that it has closed is open again.
    """
    from sluice.clock import open_clock
    from sluice.declare.loading import load_pipeline
    from sluice.lake import waivers
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    stream, rule = _gate(declared, gate)
    now = open_clock(settings().places.clock).now()
    for one in waivers.withdraw(_lake(declared), stream, rule, batch, by=by, because=because, at=now):
        typer.echo(f"withdrawn: {one}")


def _gate(declared: Declared, text: str) -> tuple[str, str]:
    """The stream and the gate that a person names as STREAM:GATE."""
    from sluice.lake.gates.verdict import GATES

    stream, _, rule = text.partition(":")
    if not rule:
        raise UserError(f"{text!r} has no ':' between a stream and a gate", where="STREAM:GATE", allowed=GATES)
    name = declared.stream(stream).name
    if rule not in GATES:
        raise UserError.unknown("gate", rule, GATES, where="STREAM:GATE")
    return name, rule


def _what_it_meets(declared: Declared, lake: Lake, given: Waiver) -> Iterator[str]:
    """What there is for a waiver to let pass: the batch that it names, those that its gate stopped, or none yet."""
    from sluice.cli.findings import ingested_again
    from sluice.lake.attempts import last_attempts

    attempts = last_attempts(lake.rows("verdicts"))
    stopped = [
        one.batch
        for one in attempts
        if one.stream == given.stream and any(row["rule"] == given.rule for row in one.stops)
    ]
    told = f"it stopped {listed(list(map(repr, stopped)))}" if stopped else "it has stopped none yet"
    if given.batch is None:
        yield f"That is every batch until then; for one alone give --batch ({told})."
        back = command("gates", "withdraw", declared.reference, f"{given.stream}:{given.rule}")
        yield f"To take it back: {back} --by WHO --because WHY"
    elif given.batch not in stopped:
        near = difflib.get_close_matches(given.batch, stopped, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        gate = f"{given.stream}:{given.rule}"
        yield f"warning: {gate} has not stopped a batch {given.batch!r} yet: {told}{hint}"
    elif not lake.shows(given.stream, given.batch):
        again = ingested_again(declared, [one for one in attempts if one.batch == given.batch])
        yield f"next: {command(*again)}"


def _holding(lake: Lake) -> list[Waiver]:
    from sluice.clock import open_clock
    from sluice.lake.waivers import waivers
    from sluice.settings import settings

    now = open_clock(settings().places.clock).now()
    return [one for one in waivers(lake) if now < one.until]


def _lake(declared: Declared) -> Lake:
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    return Lake(settings().places.lake_uri, declared.name)
