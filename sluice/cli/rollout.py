"""The commands around a rollout: where every segment stands, the next step, and the way back."""

from __future__ import annotations

from types import ModuleType
from typing import Annotated

import typer

from sluice.cli import screen
from sluice.clock import rfc3339
from sluice.decisions import signed
from sluice.declare.checks import one_of
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import ALL

rollout = typer.Typer(
    help="Show where every segment's models stand; move them by a step; take the newest step back.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Segment = Annotated[str, typer.Argument(help="A segment of the pipeline, or `*` for the fallback.")]
By = Annotated[str, typer.Option(help="The person who decides it.")]
Because = Annotated[str, typer.Option(help="Why, for those who ask later.")]
Variant = Annotated[str, typer.Option(help="Which models wait to be let in: candidate, or shuffled for the controls.")]


@rollout.command()
def status(pipeline: Pipeline) -> None:
    """Show every segment's champion, and the challenger beside it, as the promotion log tells them."""
    from serve import promotions
    from sluice.lake.tables import Lake
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    states = promotions.state(Lake(settings().places.lake_uri, declared.name))
    if not states:
        typer.echo("Nothing has been rolled out yet.")
        return
    table = screen.table("segment", "champion", "challenger", "step", "since", whole=["since"])
    for segment, state in states.items():
        names = [str(model) if model else "-" for model in (state.champion, state.challenger)]
        table.add_row(segment, *names, state.step, rfc3339(state.since))
    screen.show(table)


@rollout.command()
def step(pipeline: Pipeline, variant: Variant = "candidate") -> None:
    """Move every segment by at most one step, where its evidence allows one, and serve by what follows."""
    from models.request import SHUFFLED
    from models.request import Variant as Trained

    load_pipeline(pipeline)
    one_of(variant, (Trained().name, SHUFFLED.name), where="--variant", kind="variant")
    flows = _flows()
    for line in flows.rollout(pipeline, variant=variant) or ["Nothing moved, and nothing is on trial."]:
        typer.echo(line)


@rollout.command()
def back(pipeline: Pipeline, segment: Segment, by: By, because: Because) -> None:
    """Take a segment's newest step back: its challenger, else its champion for the one before; no request fails.

    Who did it and why stays with the move.
    """
    one_of(segment, (*load_pipeline(pipeline).segments, ALL), where="rollout back", kind="segment")
    signed("a rollback by hand", by=by, because=because)
    typer.echo(_flows().take_back(pipeline, segment, by, because))


def _flows() -> ModuleType:
    """The flows of a rollout, which are runs in Prefect; ServiceDown while its server is away."""
    from sluice.local.environment import apply_environment
    from sluice.local.prefect_services import check_prefect
    from sluice.settings import settings

    check_prefect(settings())
    apply_environment(settings())
    from flows import rollout as flows

    return flows
