"""The commands around forgetting: what would go of an entity, taking it away, and the receipts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli import screen
from sluice.cli.keeping import size
from sluice.clock import open_clock, rfc3339
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.wording import command

if TYPE_CHECKING:
    from rich.table import Table

    from sluice.lake.forgetting.erasures import Receipt
    from sluice.lake.forgetting.forget import Online, Stores
    from sluice.lake.forgetting.plan import Plan
    from sluice.lake.schemas import Registry
    from sluice.lake.tables import Lake

forget = typer.Typer(
    help="Forget an entity: show what would go, take it away everywhere, keep a receipt.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
What = Annotated[str, typer.Argument(metavar="KEY=VALUE", help="The entity, such as customer_id=17.")]
Name = Annotated[str, typer.Argument(metavar="RECEIPT", help="The receipt, as `sluice forget list` names it.")]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later. It stays: do not name the entity.")]


@forget.command()
def show(pipeline: Pipeline, what: What) -> None:
    """Show what would go of each table, and which models could not be trained again; nothing is changed."""
    from sluice.lake.forgetting.erasures import receipts
    from sluice.lake.forgetting.plan import entity_of, plan, refuse_held
    from sluice.lake.forgetting.pseudonyms import own_pseudonyms, passing_pseudonyms

    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    names = own_pseudonyms() if receipts(lake) else passing_pseudonyms()
    planned = plan(lake, declared, entity_of(declared, what, _now()), names, _registry())
    refuse_held(lake, declared, planned)
    screen.show(_shares(planned))
    _tell_models(planned.models, "could not be trained again on the rows that they learned from")
    for table in planned.strange:
        typer.echo(f"{table} is no table of Sluice's: look yourself whether it is about anybody")


@forget.command()
def apply(pipeline: Pipeline, what: What, by: By, because: Because) -> None:
    """Take away all that the lake and the online store have of an entity up to now, old versions and logs included.

    What is read again of it, from topics or files, stays away; what happens from now on is taken in. What one that
    died has begun is finished first. Folds, archives and the service may run meanwhile.
    """
    from sluice.lake.forgetting import forget as forgetting
    from sluice.lake.forgetting.plan import entity_of
    from sluice.lake.forgetting.pseudonyms import own_pseudonyms

    declared = load_pipeline(pipeline)
    entity, names = entity_of(declared, what, _now()), own_pseudonyms(make=True)
    done = forgetting.forget(
        _lake(declared), declared, entity, names, _stores(declared), by=by, because=because, registry=_registry()
    )
    _tell(declared, done)


@forget.command()
def finish(pipeline: Pipeline) -> None:
    """Finish erasures that died half way."""
    from sluice.lake.forgetting import forget as forgetting
    from sluice.lake.forgetting.erasures import unfinished
    from sluice.lake.forgetting.pseudonyms import own_pseudonyms, passing_pseudonyms

    declared = load_pipeline(pipeline)
    lake = _lake(declared)
    begun = unfinished(lake)
    names = own_pseudonyms() if begun else passing_pseudonyms()
    done = forgetting.finish(lake, declared, names, _stores(declared), _registry())
    for one in done:
        _tell(declared, one)
    if not done:
        typer.echo("Nothing was left to do.")


@forget.command("list")
def list_(pipeline: Pipeline) -> None:
    """List the receipts, oldest first. None of them says who was forgotten."""
    from sluice.lake.forgetting.erasures import receipts

    found = receipts(_lake(load_pipeline(pipeline)))
    if not found:
        typer.echo("Nobody was forgotten.")
        return
    shown = screen.table(
        "receipt", "of", "state", "by", "at", "because", "rows", right=["rows"], whole=["receipt", "at", "rows"]
    )
    for one in found:
        rows = f"{sum(one.rows.values()):,}"
        shown.add_row(one.erasure, f"a {one.of}", one.state, one.by, rfc3339(one.at), one.because, rows)
    screen.show(shown)


@forget.command()
def receipt(pipeline: Pipeline, name: Name) -> None:
    """Show a receipt: who asked, why, what went of each table, and which models cannot be trained again."""
    from sluice.lake.forgetting import erasures

    one = erasures.receipt(_lake(load_pipeline(pipeline)), name, next_step=command("forget", "list", pipeline))
    typer.echo(f"receipt {one.erasure}: a {one.of}, {one.state}")
    typer.echo(f"by {one.by} at {rfc3339(one.at)}, because {one.because!r}")
    typer.echo(f"pseudonym {one.entity}, under key {one.key}")
    numbers = ["rows", "first version without"]
    shown = screen.table("table", *numbers, right=numbers)
    for table in sorted({*one.rows, *one.versions}):
        version = one.versions.get(table)
        shown.add_row(table, f"{one.rows.get(table, 0):,}", "" if version is None else str(version))
    screen.show(shown)
    _tell_models(one.models, "cannot be trained again on the rows that they learned from")


def _shares(planned: Plan) -> Table:
    shown = screen.table("table", "rows", "about", right=["rows", "about"])
    for table, share in planned.shares.items():
        shown.add_row(table, f"{share.rows:,}", size(share.bytes))
    return shown


def _tell(declared: Declared, done: Receipt) -> None:
    typer.echo(f"receipt {done.erasure}: {sum(done.rows.values()):,} rows of {len(done.rows)} tables are gone")
    _tell_models(done.models, "cannot be trained again on the rows that they learned from")
    typer.echo(f"vectors of others that had seen them: the flow features of {declared.name} computes them anew")


def _tell_models(models: Sequence[str], what: str) -> None:
    for model in models:
        typer.echo(f"{model} {what}")


def _stores(declared: Declared) -> Stores:
    """Has the online store forget, where there is one."""
    from sluice.settings import settings

    def forget_there(online: Online) -> None:
        from sluice.engine.places import open_store
        from sluice.engine.shards import online_if_there
        from sluice.stream.forgetting import forget_online

        uri = settings().online_uri
        there = online_if_there(uri, declared.name)
        if there is not None:
            there.close()
            forget_online(declared, partial(open_store, uri), online)

    return forget_there


def _registry() -> Registry | None:
    from sluice.lake.registry import registry_at
    from sluice.settings import settings

    return registry_at(settings().schema_registry)


def _now() -> int:
    from sluice.settings import settings

    return open_clock(settings().places.clock).now()


def _lake(declared: Declared) -> Lake:
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    return Lake(settings().places.lake_uri, declared.name)
