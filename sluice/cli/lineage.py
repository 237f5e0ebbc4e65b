"""`sluice lineage`: where a prediction, a model or a table came from, down to raw files and offsets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice.cli.places import check_written
from sluice.lake.lineage.words import MANY, lines

if TYPE_CHECKING:
    from sluice.lake.lineage.graph import Lineage, Node

lineage = typer.Typer(
    help="Show where a prediction, a model or a table came from, down to raw files and offsets.", no_args_is_help=True
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Draw = Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Draw it into this file, SVG.")]
All = Annotated[bool, typer.Option("--all", help=f"List all that a thing was made of, not the last {MANY}.")]


@lineage.command()
def prediction(
    pipeline: Pipeline,
    name: Annotated[str, typer.Argument(metavar="ID", help="The request's id, or REQUEST/EVENT of one with several.")],
    *,
    draw: Draw = None,
    whole: All = False,
) -> None:
    """Show what an answer was made of: its vector with all that this knew, and its model."""
    _tell(_lineage(pipeline, draw).prediction(name), draw, whole=whole)


@lineage.command()
def model(
    pipeline: Pipeline,
    name: Annotated[str, typer.Argument(metavar="NAME/VERSION", help="A registered model, such as fraud-pos/3.")],
    *,
    draw: Draw = None,
    whole: All = False,
) -> None:
    """Show what a model was made of: its training set, the vectors in it, and what those were computed from."""
    _tell(_lineage(pipeline, draw).model(name), draw, whole=whole)


@lineage.command()
def table(
    pipeline: Pipeline,
    name: Annotated[str, typer.Argument(metavar="TABLE", help="A table, such as silver/transactions or vectors@7.")],
    *,
    draw: Draw = None,
    whole: All = False,
) -> None:
    """Show what a version of a table was made of; the newest one by default."""
    _tell(_lineage(pipeline, draw).table(name), draw, whole=whole)


def _lineage(pipeline: str, draw: Path | None) -> Lineage:
    from sluice.declare.loading import load_pipeline
    from sluice.lake.lineage.graph import Lineage
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    if draw is not None:
        check_written(draw, "--draw", ".svg")
    declared = load_pipeline(pipeline)
    return Lineage(Lake(settings().places.lake_uri, declared.name))


def _tell(node: Node, draw: Path | None, *, whole: bool) -> None:
    for line in lines(node, most=None if whole else MANY):
        typer.echo(line)
    if draw is not None:
        from sluice.lake.lineage.drawing import drawn

        draw.write_text(drawn(node), encoding="utf-8")
        typer.echo(f"drawn in {draw}")
