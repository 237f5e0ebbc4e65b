"""`sluice deploy`: a pipeline's flows, deployed in Prefect."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice.declare.loading import load_pipeline

Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Paused = Annotated[bool, typer.Option("--paused", help="With schedules that stand still until somebody resumes them.")]


def deploy(pipeline: Pipeline, *, paused: Paused = False) -> None:
    """Deploy a pipeline's flows in Prefect as `<flow>/<pipeline>`, with their schedules and the events that start them.

    The same again brings them up to the declaration. A worker of the pool `sluice` runs them, where the pipeline's file
    must lie at the same path. Then `prefect deployment run features/<pipeline>` starts one by hand.
    """
    from sluice.local.environment import apply_environment
    from sluice.local.prefect_services import check_prefect
    from sluice.settings import settings

    name = load_pipeline(pipeline).name
    check_prefect(settings())
    apply_environment(settings())
    from flows.deployed import deploy_flows, pause_schedules

    deployed = deploy_flows(pipeline)
    standing = pause_schedules(name) if paused else []
    for flow in deployed:
        typer.echo(f"{flow}/{name}{' (its schedule stands still)' if flow in standing else ''}")
