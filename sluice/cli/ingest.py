"""`sluice ingest`: files, or what the archive has written, through contract and gates into history."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sluice.clock import open_clock
from sluice.declare.loading import load_pipeline
from sluice.errors import UserError

Pipeline = Annotated[str, typer.Argument(help="A registered pipeline, or the path of a .py file.")]
Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STREAM=FILE…",
        help="Files of streams: parquet, CSV or JSON lines; or Delta tables, as FOLDER or FOLDER@VERSION. None with "
        "--archived, or for a batch that was stopped.",
    ),
]
Batch = Annotated[str | None, typer.Option(help="The delivery's name; by default that of its first file.")]
At = Annotated[
    str | None,
    typer.Option(help="The moment that freshness is measured from, RFC 3339; by default now, by the event clock."),
]
Archived = Annotated[bool, typer.Option("--archived", help="Take what the archive has written since the last batch.")]
Restates = Annotated[
    str | None,
    typer.Option(
        metavar="DAY",
        help="A day, or FIRST..LAST, that the files tell anew: whole, so that what they lack is deleted.",
    ),
]
Renamed = Annotated[
    list[str] | None,
    typer.Option("--rename", metavar="STREAM:COLUMN=NAME", help="What a declared column is called in this delivery."),
]


def ingest(
    pipeline: Pipeline,
    files: Files = None,
    *,
    batch: Batch = None,
    at: At = None,
    archived: Archived = False,
    restates: Restates = None,
    rename: Renamed = None,
) -> None:
    """Bring files, or what the archive has written, through the contract and the gates into history.

    Every row is in history, or in quarantine with its reason; a gate that stops the batch lets nothing of it be seen.
    The same delivery again adds nothing.
    """
    from sluice.cli.landed import told
    from sluice.lake.days import days
    from sluice.lake.delivery import Delivery, named_file, renamed_in
    from sluice.lake.snapshots import pinned
    from sluice.lake.typing import instant
    from sluice.local.spark import run_job
    from sluice.settings import settings

    declared = load_pipeline(pipeline)
    here = settings()
    now = open_clock(here.places.clock).now() if at is None else instant(at, "--at")
    streams = [stream.name for stream in declared.streams]
    named = [named_file(text, streams) for text in files or []]
    asked = Delivery(
        pipeline,
        here.places.lake_uri,
        batch or _name([pinned(str(path)) for _, path in named], now, archived=archived),
        now,
        files=[(stream, pinned(str(path))) for stream, path in named],
        from_bronze=archived,
        restates=days(restates, where="--restates") if restates else None,
        renamed=renamed_in(rename or []),
    )
    asked.check()  # what is written wrongly is told before anything is started
    arguments = ["--pipeline", pipeline, "--lake", asked.lake, "--batch", asked.batch, "--at", str(now)]
    arguments += ["--from-bronze"] * archived
    arguments += ["--restates", restates] if restates else []
    arguments += [part for stream, path in asked.files for part in ("--file", f"{stream}={path}")]
    arguments += [part for text in rename or [] for part in ("--rename", text)]
    if any(asked.tables().shows(name, asked.batch) for name in streams):
        typer.echo(f"batch {asked.batch!r} is history already; of what is, nothing is added again")
    with told(declared, asked.tables(), [asked.batch]):
        run_job(here, "ingest", arguments)


def _name(files: Sequence[str], now: int, *, archived: bool) -> str:
    from sluice.lake.rowfiles import SUFFIXES

    if archived:
        return f"archived-{now}"
    if not files:
        raise UserError(
            "there is nothing to ingest",
            where="sluice ingest",
            allowed="STREAM=FILE, --archived, or the --batch that was stopped",
        )
    first = Path(files[0])
    return first.stem if first.suffix in SUFFIXES else first.name
