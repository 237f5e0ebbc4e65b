"""The commands around keeping: what would go and what stays, keeping a lake as declared, and legal holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

from serve.promotions import in_use
from sluice.clock import open_clock, rfc3339
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.lake.keeping import holds, keep
from sluice.lake.keeping.keep import KEPT, Told
from sluice.lake.tables import Lake
from sluice.settings import settings

keep_ = typer.Typer(
    help="Show what is older than the declaration keeps, and why the rest stays; drop it.", no_args_is_help=True
)
hold = typer.Typer(help="Hold what must not go, whatever is declared; list the holds; lift one.", no_args_is_help=True)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
What = Annotated[
    str, typer.Argument(metavar="WHAT", help="An entity (customer_id=17), or a table or a stream as a whole.")
]
Name = Annotated[str, typer.Argument(metavar="HOLD", help="The hold, as `sluice hold list` names it.")]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@keep_.command()
def show(pipeline: Pipeline) -> None:
    """Show what keeping would drop, pack and remove now, and what stays and why; nothing is changed."""
    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    Console().print(listed(keep.show(lake, declared, _now(), in_use(lake))))


@keep_.command()
def apply(pipeline: Pipeline) -> None:
    """Drop what is old, pack small files, and remove files that no kept version names. Again, there is nothing to do.

    What one that died has begun is finished first. Folds, archives and jobs may run meanwhile.
    """
    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    Console().print(listed(keep.apply(lake, declared, _now(), in_use(lake))))


def listed(told: Sequence[Told]) -> Table:
    """What keeping did, or would do, table by table."""
    shown = Table(
        "table", "", Column("count", justify="right"), Column("about", justify="right"), "because",
        box=None, pad_edge=False,
    )  # fmt: skip
    for one in told:
        count = "" if one.what == KEPT else f"{one.count:,}"
        shown.add_row(one.table, one.what, count, size(one.bytes) if one.bytes else "", one.because)
    return shown


def size(count: int) -> str:
    """How many bytes, as people write it."""
    unit = min(len(str(count)) - 1, 3 * len(_UNITS) - 1) // 3
    return f"{count:,} bytes" if unit == 0 else f"{count / 1000**unit:.1f} {_UNITS[unit]}"


@hold.command()
def add(pipeline: Pipeline, what: What, by: By, because: Because) -> None:
    """Hold an entity, a table or a stream: nothing of it goes until the hold is lifted. A record that stays."""
    declared = load_pipeline(pipeline)
    placed = holds.place(_lake(declared), declared, what, by=by, because=because, at=_now())
    typer.echo(f"hold {placed.hold} on {placed}: nothing of it goes until it is lifted")


@hold.command("list")
def list_(pipeline: Pipeline) -> None:
    """List the holds that are on."""
    shown = Table("hold", "on", "by", Column("since", no_wrap=True), "because", box=None, pad_edge=False)
    found = holds.holding(_lake(load_pipeline(pipeline))).holds
    for one in found:
        shown.add_row(one.hold, str(one), one.by, rfc3339(one.at), one.because)
    Console().print(shown if found else "Nothing is held.")


@hold.command()
def remove(pipeline: Pipeline, name: Name, by: By, because: Because) -> None:
    """Lift a hold: what it held may go again, as declared. The hold and who lifted it stay on record."""
    declared = load_pipeline(pipeline)
    lifted = holds.lift(_lake(declared), name, by=by, because=because, at=_now())
    typer.echo(f"hold {lifted.hold} on {lifted} is lifted")


def _now() -> int:
    return open_clock(settings().places.clock).now()


def _lake(declared: Declared) -> Lake:
    return Lake(settings().places.lake_uri, declared.name)
