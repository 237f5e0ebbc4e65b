"""`sluice repair`: late and corrected events into the days they belong to, and the models that they touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice.cli import screen
from sluice.clock import open_clock, rfc3339
from sluice.declare.loading import load_pipeline
from sluice.declare.operate import AS_SERVED
from sluice.wording import command

if TYPE_CHECKING:
    from sluice.lake.tables import Lake

repair = typer.Typer(
    help="Bring late and corrected events into the days they belong to; show which models they touched.",
    no_args_is_help=True,
)
Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
_FEW = 10


@repair.command()
def run(pipeline: Pipeline) -> None:
    """Compute the affected days again, from what is history now, and list what that touched.

    What was moved since the repair before, by whatever backfill, is listed too. The flow `repair` does the same on a
    schedule. The online store hears of events by their topics; what only files have brought reaches it when the flow
    `features` starts it again from history.
    """
    from sluice.lake.incidents import refuse_incidents
    from sluice.lake.tables import Lake
    from sluice.lake.touched import VECTORS, note_before, tell_touched
    from sluice.local.spark import run_job
    from sluice.settings import settings

    declared, here = load_pipeline(pipeline), settings()
    lake = Lake(here.places.lake_uri, declared.name)
    refuse_incidents(lake, declared, "what is computed from history")
    now = open_clock(here.places.clock).now()
    note_before(lake)
    arguments = ["--pipeline", pipeline, "--lake", here.places.lake_uri, "--at", str(now)]
    arguments += ["--as-served"] if declared.training.knowledge == AS_SERVED else []
    run_job(here, "backfill", arguments)
    found = tell_touched(lake, declared, now)
    if found is None:
        typer.echo(f"{lake.count(VECTORS):,} vectors are the first: there was nothing to touch.")
    elif found.before == found.after:
        typer.echo(f"{VECTORS}@{found.after} is as it was: nothing has come since.")
    else:
        _tell(_of(lake, found.after))


@repair.command()
def show(pipeline: Pipeline) -> None:
    """Show what every repair has touched, the newest first."""
    from sluice.lake.tables import Lake
    from sluice.lake.touched import VECTORS
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    lake = Lake(settings().places.lake_uri, declared.name)
    versions = {row["after"] for row in lake.rows("touched") if not row["model"]}
    if not versions and lake.version(VECTORS) < 0:
        typer.echo(
            f"There are no vectors of {declared.name!r} yet. The first ones are made by: "
            f"{command('repair', 'run', pipeline)}"
        )
    elif not versions:
        typer.echo(
            f"The {lake.count(VECTORS):,} vectors of {declared.name!r} are the first; no repair has touched any."
        )
    for version in sorted(versions, reverse=True)[:_FEW]:
        _tell(_of(lake, version))


def _of(lake: Lake, version: int) -> list[dict[str, Any]]:
    """What the repair that wrote a version of the vectors touched, the vectors first."""
    rows = lake.rows("touched")
    at = {row["at"] for row in rows if not row["model"] and row["after"] == version}
    return sorted((row for row in rows if row["at"] in at), key=lambda row: (row["model"], row["version"]))


def _tell(rows: Sequence[Mapping[str, Any]]) -> None:
    from sluice.lake.moved import COUNTS, most_moved
    from sluice.lake.touched import VECTORS, columns_of

    for line in _lines(rows[0]):
        typer.echo(line)
    shown = screen.table("what", "segment", *COUNTS, "most moved", right=COUNTS, whole=COUNTS)
    for row in rows:
        name = f"{row['model']}/{row['version']}" if row["model"] else f"{VECTORS}@{row['before']}"
        counts = [f"{row[column]:,}" for column in COUNTS]
        shown.add_row(name, row["segment"], *counts, most_moved(columns_of(row)))
    screen.show(shown)


def _lines(row: Mapping[str, Any]) -> Iterator[str]:
    from sluice.lake.touched import VECTORS, arrived_in_words

    yield f"{rfc3339(row['at'])}: {VECTORS}@{row['before']} became {VECTORS}@{row['after']}"
    yield from (f"  {batch}" for batch in arrived_in_words(row))
