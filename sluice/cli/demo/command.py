"""The command `sluice demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Pipeline = Annotated[str, typer.Option(help="A registered pipeline, or the path of a .py file.")]
File = Annotated[
    Path | None,
    typer.Option(help="Real input instead of simulated payments: a parquet file, or a folder with <stream>.parquet."),
]
Report = Annotated[Path | None, typer.Option(help="Where report.json goes; the page goes beside it.")]
Seed = Annotated[int, typer.Option(help="The simulator's seed.")]
Customers = Annotated[int, typer.Option(min=50, help="Simulated customers.")]
Days = Annotated[int, typer.Option(min=70, help="Simulated days in all; the last of them are live.")]
LiveDays = Annotated[
    int | None, typer.Option(min=5, help="How many of the days are live: 60 of simulated ones, 14 of a file's.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Nothing is injected: no late, broken or drifting data.")]


def demo(
    pipeline: Pipeline = "fraud",
    events: File = None,
    report: Report = None,
    seed: Seed = 1,
    customers: Customers = 1000,
    days: Days = 200,
    live_days: LiveDays = None,
    quiet: Quiet = False,
) -> None:
    """Run the whole loop: ingest, gates, features, training, serving, live events, drift, retraining, rollout."""
    from sluice.cli.demo.home import prepare
    from sluice.cli.demo.options import Options
    from sluice.settings import Places, settings

    options = Options.checked(pipeline, events, report, seed, customers, days, live_days, quiet)
    prepare(Places().home)
    from sluice.local.environment import apply_environment

    apply_environment(settings())
    from sluice.cli.demo.quiet import engines_talk_to

    with engines_talk_to(settings().places.at("logs", "demo.log")):
        from sluice.cli.demo.story import tell

        tell(options)
