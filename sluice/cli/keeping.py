"""The commands around keeping: what would go and what stays, keeping a lake as declared, and legal holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.screen import show as printed
from sluice.cli.screen import table
from sluice.clock import rfc3339

if TYPE_CHECKING:
    from rich.table import Table

    from sluice.declare.pipeline import Pipeline as Declared
    from sluice.lake.keeping.keep import Told
    from sluice.lake.tables import Lake

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
    from serve.promotions import in_use
    from sluice.lake.keeping import keep

    declared, lake = _opened(pipeline)
    printed(listed(keep.show(lake, declared, _now(), in_use(lake))))


@keep_.command()
def apply(pipeline: Pipeline) -> None:
    """Drop what is old, pack small files, and remove files that no kept version names. Again, there is nothing to do.

    What one that died has begun is finished first. Folds, archives and jobs may run meanwhile.
    """
    from serve.promotions import in_use
    from sluice.lake.keeping import keep

    declared, lake = _opened(pipeline)
    printed(listed(keep.apply(lake, declared, _now(), in_use(lake))))


def listed(told: Sequence[Told]) -> Table:
    """What keeping did, or would do, table by table."""
    from sluice.lake.keeping.keep import KEPT

    shown = table("table", "", "count", "about", "because", right=("count", "about"))
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
    from sluice.lake.keeping import holds

    declared, lake = _opened(pipeline)
    placed = holds.place(lake, declared, what, by=by, because=because, at=_now())
    typer.echo(f"hold {placed.hold} on {placed}: nothing of it goes until it is lifted")


@hold.command("list")
def list_(pipeline: Pipeline) -> None:
    """List the holds that are on."""
    from sluice.lake.keeping import holds

    shown = table("hold", "on", "by", "since", "because")
    found = holds.holding(_opened(pipeline)[1]).holds
    for one in found:
        shown.add_row(one.hold, str(one), one.by, rfc3339(one.at), one.because)
    if found:
        printed(shown)
    else:
        typer.echo("Nothing is held.")


@hold.command()
def remove(pipeline: Pipeline, name: Name, by: By, because: Because) -> None:
    """Lift a hold: what it held may go again, as declared. The hold and who lifted it stay on record."""
    from sluice.lake.keeping import holds

    lifted = holds.lift(_opened(pipeline)[1], name, by=by, because=because, at=_now())
    typer.echo(f"hold {lifted.hold} on {lifted} is lifted")


def _now() -> int:
    from sluice.clock import open_clock
    from sluice.settings import settings

    return open_clock(settings().places.clock).now()


def _opened(pipeline: str) -> tuple[Declared, Lake]:
    from sluice.declare.loading import load_pipeline
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    return declared, Lake(settings().places.lake_uri, declared.name)
