"""The commands around a pipeline's features: explain, get and compute them; freeze what they mean, tell versions."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table

from sluice.declare.loading import load_pipeline, load_unlocked
from sluice.declare.lock import freeze as write_lock
from sluice.declare.lock import lock_of
from sluice.declare.lock import thaw as remove_lock
from sluice.errors import UserError

features = typer.Typer(
    help="Explain a pipeline's features; get them, tell what they take, compute them for files; freeze what they mean.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Events = Annotated[int, typer.Option("--events", min=1, help="Events in the window of an entity, for the costs.")]
Values = Annotated[list[str], typer.Argument(help="Entity keys, and columns of a request: customer_id=7 amount=12.5")]
At = Annotated[str | None, typer.Option(help="The moment, RFC 3339; the event clock's by default.")]
Most = Annotated[int, typer.Option(min=0, help="How many events of each view, the newest first.")]
Input = Annotated[
    Path,
    typer.Option(
        "--events",
        help="A parquet file or a Delta table of the scored events, or a folder with <stream>.parquet of each stream.",
    ),
]
Output = Annotated[
    Path,
    typer.Option(
        "--out",
        help="A .parquet file, written anew if it is there; or a folder for a Delta table: a new one, an empty one, or "
        "a Delta table, which gets a new version with these values alone. Never what is read.",
    ),
]
Engine = Annotated[Literal["local", "spark"], typer.Option(help="Where: in this process, or on a worker of Spark.")]
Entities = Annotated[int, typer.Option("--most", min=0, help="How many entities of each view, the largest first.")]
_WIDE = 240
Again = Annotated[bool, typer.Option("--again", help="Also when it was frozen as something else: a new version.")]


@features.command()
def freeze(pipeline: Pipeline, again: Again = False) -> None:
    """Freeze the declaration: from now on one that means something else is refused, with what changed.

    What it means is written to a file beside the declaration, <its name>.lock.json, which belongs into version control.
    """
    declared, file = load_unlocked(pipeline)
    changed = write_lock(declared, file, again=again)
    for change in changed:
        typer.echo(change)
    typer.echo(f"{declared.name} is frozen as definition {declared.definition}: {lock_of(file)}")


@features.command()
def thaw(pipeline: Pipeline) -> None:
    """Let the declaration change again."""
    declared, file = load_unlocked(pipeline)
    was_frozen = remove_lock(file)
    typer.echo(f"{declared.name} {'may change again' if was_frozen else 'was not frozen'}.")


@features.command()
def versions(pipeline: Pipeline) -> None:
    """Show every version of the pipeline's views that Feast holds, and what changed from each to the next."""
    from sluice.feast.registry import feature_store
    from sluice.feast.versions import history_of

    declared = load_pipeline(pipeline)
    listed = history_of(feature_store(), declared)
    for version in listed:
        typer.echo(f"{version.reference}  definition {version.definition}, since {version.since}")
        for change in version.changes:
            typer.echo(f"    {change}")
    if not listed:
        typer.echo(f"Feast does not know {declared.name} yet.")


@features.command()
def explain(pipeline: Pipeline, events: Events = 100) -> None:
    """Tell of each feature what it means, what is kept and read for it, how exact it is, what it costs a request.

    An entity is one head: its events. One with many is divided into leaves, slots of time that keep their events; its
    head then says where they are, and what the events of each add up to.
    """
    from sluice.engine.explain import explain as explained

    declared = load_pipeline(pipeline)
    declared.check_computes()
    table = Table("feature", "meaning", "window", "error", "bytes", "read", Column("µs", justify="right"), box=None)
    for one in explained(declared, events):
        kept = f"{one.row_bytes} an event" if one.row_bytes else "-"
        kept += f", {one.state_bytes:,} a leaf" if one.state_bytes else ""
        cost = "-" if one.microseconds is None else f"{one.microseconds:.1f}"
        table.add_row(one.name, one.meaning, one.window, one.error, kept, one.tiles, cost)
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)
    typer.echo(
        "head: an entity's events, or where its leaves are and their states; leaf: a slot's events of a busy entity; "
        "µs: one request, beside the read of the store; that of a lookup depends on its table"
    )
    typer.echo(f"definition {declared.definition}; costs for an entity with {events} events in its window")


@features.command()
def get(pipeline: Pipeline, values: Values, at: At = None, most: Most = 10) -> None:
    """Print an entity's features from the online store, with the events behind them.

    `sluice features get fraud customer_id=7 terminal_id=12`. With the columns of a request (and its id) the whole
    vector; without them what needs the request is null. The scoring service's contract judges what is given.
    """
    from sluice.cli.lookup import look_up

    for line in look_up(load_pipeline(pipeline), _pairs(values), at, most):
        typer.echo(line)


@features.command()
def sizes(pipeline: Pipeline, most: Entities = 3) -> None:
    """Tell how much the online store keeps of each view, and of its largest entities.

    An entity's events are kept for twice the view's horizon, which is its longest window, `delay` and `accept_late`
    together: one may come a horizon late, and a request of its time looks back as far again. Older ones stay until the
    fold clears up, and until a quarter of an entity's events, or a whole tile, can go. What bounds an entity is how
    many events it has in that time.
    """
    from sluice.declare.durations import duration_text
    from sluice.engine.forget import HORIZONS
    from sluice.engine.shards import open_shards
    from sluice.engine.sizes import sizes as measured
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    names = ("kept for", "entities", "events", "bytes", "tiles")
    table = Table("view", *(Column(name, justify="right") for name in names), box=None)
    with ExitStack() as stack:
        stores = [stack.enter_context(closing(store)) for store in open_shards(settings().online_uri, declared.name)]
        for view in declared.windows:
            found = measured(view, stores, most)
            kept = duration_text(HORIZONS * view.horizon)
            table.add_row(found.view, kept, f"{found.entities:,}", f"{found.events:,}", f"{found.bytes:,}", "")
            for one in found.largest:
                table.add_row(f"  {view.of} {one.key}", "", "", f"{one.events:,}", f"{one.bytes:,}", f"{one.tiles:,}")
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


@features.command()
def compute(pipeline: Pipeline, events: Input, out: Output, engine: Engine = "local") -> None:
    """Write the values of every event of some files, each as of its own moment: one row per event, in their order.

    `sluice features compute fraud --events lake/today --out values.parquet`

    The columns are the event's id (`event_id` where it is not one column), then
    one for each feature, `<view>__<feature>` as `sluice features explain` names it.

    Rows that break a rule of the declaration have no values; they go with the
    reason to `<out>.refused.parquet`, which is `values.refused.parquet` here. Of an
    earlier run that file is replaced, or removed when nothing is refused.

    What is printed accounts for every row: refused ones, copies, versions below a
    higher revision and deleted events too.
    """
    from sluice.cli.computing import on_spark, report
    from sluice.lake import computing
    from sluice.lake.workers import Here
    from sluice.settings import settings

    begun = time.monotonic()
    asked = computing.request(pipeline, events, out, settings().places.lake_uri)
    with Console(stderr=True).status(f"computing {load_pipeline(pipeline).name} on {engine}"):
        done = computing.compute(Here(), asked) if engine == "local" else on_spark(pipeline, events, out)
    for line in report(done, out, time.monotonic() - begun):
        typer.echo(line)


def _pairs(texts: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        # what is no UTF-8 in the shell comes as surrogates, which no JSON can hold
        if not separator or any("\ud800" <= letter <= "\udfff" for letter in text):
            raise UserError(f"{text!r} is no value", where="features get", allowed="name=value, such as customer_id=7")
        if name in found:
            raise UserError(
                f"{name} is given twice, as {found[name]!r} and as {value!r}", where="features get", allowed="each once"
            )
        found[name] = value
    return found
