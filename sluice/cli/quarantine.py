"""The commands around refused rows: list them, show them, put them back mended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.cli.places import check_written
from sluice.cli.screen import hanging, width
from sluice.errors import UserError
from sluice.wording import command, counted

if TYPE_CHECKING:
    from sluice.cli.replaying import Again
    from sluice.declare.pipeline import Pipeline as Declared
    from sluice.lake.refused import Group, Wanted
    from sluice.lake.tables import Lake

quarantine = typer.Typer(
    help="List the rows that were refused, show them, and put them back mended.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Named = Annotated[str | None, typer.Option("--stream", help="Only rows of this stream.")]
Batch = Annotated[str | None, typer.Option(help="Only rows of this batch.")]
Rule = Annotated[str | None, typer.Option(help="Only rows that this rule refused.")]
State = Annotated[
    str | None,
    typer.Option(help="Only rows in this state: waiting, held (their batch is stopped), sent (replayed), back."),
]
Places = Annotated[
    list[str] | None, typer.Option("--place", help="Only the row at this place, SOURCE/PARTITION/POSITION; repeatable.")
]
Most = Annotated[int, typer.Option(min=1, help="How many rows.")]
Out = Annotated[
    Path | None,
    typer.Option(help="Write all that wait (or are in the --state) to this file, JSON lines, to be mended."),
]
Values = Annotated[
    list[str] | None, typer.Option("--set", metavar="COLUMN=VALUE", help="A value for every row, JSON or plain text.")
]
Renamed = Annotated[
    list[str] | None, typer.Option("--rename", metavar="COLUMN=NAME", help="What the rows call a declared column.")
]
Edited = Annotated[
    Path | None, typer.Option("--file", help="Rows as `show --out` wrote them and a person edited them.")
]
_PAIRS = {"--set": "COLUMN=VALUE, such as amount=12.5", "--rename": "COLUMN=NAME, such as amount=total"}
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]


@quarantine.command("list")
def list_(pipeline: Pipeline, stream: Named = None, batch: Batch = None, rule: Rule = None) -> None:
    """List what was refused, batch by batch and reason by reason, and how much of it is back.

    Rows that are waiting can be replayed. Held ones are of a batch that is stopped, and are mended with it.
    """
    from sluice.declare.loading import load_pipeline
    from sluice.lake.refused import groups

    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    wanted = _wanted(lake, batch, rule)
    found = groups(lake, _streams(declared, stream), wanted)
    for (name, delivered), some in groupby(found, key=lambda one: (one.stream, one.batch)):
        typer.echo(f"{name}: batch {delivered!r}")
        for line in _reasons(list(some)):
            typer.echo(line)
    if not found:
        typer.echo("No such row has been refused." if stream or batch or rule else "No row has been refused.")


@quarantine.command()
def show(
    pipeline: Pipeline,
    stream: Named = None,
    batch: Batch = None,
    rule: Rule = None,
    place: Places = None,
    state: State = None,
    most: Most = 20,
    out: Out = None,
) -> None:
    """Show refused rows, each a JSON object: what is wrong with it, where it is from, and its columns.

    With --out only those that wait, as others cannot be replayed.
    """
    from sluice.declare.loading import load_pipeline
    from sluice.lake.contract import format_of
    from sluice.lake.refused import WAITING, refused
    from sluice.lake.repairs import controlled, shown
    from sluice.lake.schemas import kept

    if out is not None:
        check_written(out, "--out")
    declared = load_pipeline(pipeline)
    lake, streams = _lake(declared), _streams(declared, stream)
    asked = WAITING if state is None and out is not None else state
    wanted, schemas = _wanted(lake, batch, rule, place or (), asked), kept(lake)
    rows = (
        shown(row, control, format_of(declared.stream(name), row.place.source), schemas)
        for name in streams
        for row, control in controlled(lake, name, refused(lake, name, wanted))
    )
    if out is None:
        for row in islice(rows, most):
            typer.echo(json.dumps(row, ensure_ascii=False))
        return
    typer.echo(_written(rows, out, pipeline))


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
    from sluice.lake.repairs import Repair, edited

    again = _again(pipeline)
    repair = Repair(dict(map(_value, values or [])), dict(_pair(text, "--rename") for text in rename or []))
    edits = None if file is None else edited(file)
    for line in again.finish_others():
        typer.echo(line)
    wanted = _wanted(again.lake, batch, rule, place or ())
    waiting = again.waiting(_streams(again.pipeline, stream), wanted, repair, edits)
    if not waiting:
        raise UserError(
            "no refused row waits for that", where="replay", next_step=command("quarantine", "list", pipeline)
        )
    for name, rows in waiting.items():
        for line in again.bring(name, rows, by=by, because=because):
            typer.echo(line)


@quarantine.command()
def resume(pipeline: Pipeline) -> None:
    """Go on with replays that were begun and died before their rows were back."""
    told = list(_again(pipeline).finish_others())
    for line in told or ["No replay is left unfinished."]:
        typer.echo(line)


def _written(rows: Iterable[Mapping[str, Any]], out: Path, pipeline: str) -> str:
    """Write rows to be mended; what comes next."""
    import orjson

    with out.open("wb") as file:
        count = sum(1 for row in rows if file.write(orjson.dumps(row) + b"\n"))
    replay = f"{command('quarantine', 'replay', pipeline, '--file', str(out))} --by WHO --because WHY"
    told = f"{counted(count, 'row')} in {out}"
    return f"{told}: mend {'it' if count == 1 else 'them'}, then {replay}" if count else told


def _reasons(found: Sequence[Group]) -> Iterator[str]:
    """A line for each reason that rows of one batch were refused for: the rule, the column, and what became of them."""
    names = [f"{one.rule} {one.column}".rstrip() for one in found]
    longest = max(map(len, names))
    for name, one in zip(names, found, strict=True):
        states = ", ".join(f"{count:,} {state}" for state, count in one.states.items() if count)
        told = f"{counted(one.rows, 'row')} ({states}), such as {one.value}; allowed: {one.allowed}"
        yield from hanging(f"  {name:{longest}}  ", told, width())


def _wanted(
    lake: Lake, batch: str | None, rule: str | None, places: Sequence[str] = (), state: str | None = None
) -> Wanted:
    """Which rows are meant; UserError for a batch, a rule or a state that there is not."""
    from sluice.lake.refused import STATES, Wanted
    from sluice.lake.rules import RULES

    if rule is not None and rule not in RULES:
        raise UserError.unknown("rule", rule, RULES, where="--rule")
    if state is not None and state not in STATES:
        raise UserError.unknown("state", state, STATES, where="--state")
    judged = set() if batch is None else {row["batch"] for row in lake.rows("verdicts")}
    if batch is not None and batch not in judged:
        raise UserError.unknown("batch", batch, judged, where="--batch")
    return Wanted(batch, rule, places, STATES if state is None else (state,))


def _again(pipeline: str) -> Again:
    from sluice.cli.replaying import Again
    from sluice.clock import open_clock
    from sluice.declare.loading import load_pipeline
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    return Again(pipeline, declared, _lake(declared), open_clock(settings().places.clock).now())


def _streams(declared: Declared, named: str | None) -> list[str]:
    return [stream.name for stream in declared.streams] if named is None else [declared.stream(named).name]


def _value(text: str) -> tuple[str, Any]:
    import orjson

    column, value = _pair(text, "--set")
    try:
        return column, orjson.loads(value)
    except orjson.JSONDecodeError:
        return column, value


def _pair(text: str, option: str) -> tuple[str, str]:
    left, sign, right = text.partition("=")
    if not left or not sign:
        raise UserError(f"{text!r} has no '=' between a column and what follows", where=option, allowed=_PAIRS[option])
    return left, right


def _lake(declared: Declared) -> Lake:
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    return Lake(settings().places.lake_uri, declared.name)
