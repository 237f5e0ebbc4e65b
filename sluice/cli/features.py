"""The commands around a pipeline's definition: freeze it, let it change again, and tell its versions in Feast."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.declare.loading import load_pipeline, load_unlocked
from sluice.declare.lock import freeze as write_lock
from sluice.declare.lock import lock_of
from sluice.declare.lock import thaw as remove_lock

features = typer.Typer(
    help="Freeze what a pipeline's features mean; let them change again; tell versions.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Again = Annotated[bool, typer.Option("--again", help="Also when it was frozen as something else: a new version.")]


@features.command()
def freeze(pipeline: Pipeline, again: Again = False) -> None:
    """Freeze the declaration: from now on one that means something else is refused, with what changed."""
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
