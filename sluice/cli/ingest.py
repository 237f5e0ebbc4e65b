"""`sluice ingest`: files, or what the archive has written, through contract and gates into history."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import pyarrow.dataset as ds
import typer

from sluice.cli.findings import in_short
from sluice.cli.gates import tell as tell_findings
from sluice.clock import open_clock
from sluice.decisions import Verdict
from sluice.declare.loading import load_pipeline
from sluice.declare.pipeline import Pipeline as Declared
from sluice.errors import GateStopped, UserError
from sluice.lake.attempts import Attempt, last_attempts
from sluice.lake.days import days
from sluice.lake.delivered import repeated
from sluice.lake.delivery import Delivery, named_file, renamed_in
from sluice.lake.rowfiles import SUFFIXES
from sluice.lake.snapshots import pinned
from sluice.lake.tables import Lake
from sluice.lake.typing import instant
from sluice.local.spark import run_job
from sluice.settings import settings
from sluice.wording import counted

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
    renames = [part for text in rename or [] for part in ("--rename", text)]
    arguments += [part for stream, path in asked.files for part in ("--file", f"{stream}={path}")]
    arguments += renames
    if any(asked.tables().shows(name, asked.batch) for name in streams):
        typer.echo(f"batch {asked.batch!r} is history already; of what is, nothing is added again")
    with told(declared, asked.tables(), [asked.batch], [*([] if at is None else ["--at", at]), *renames]):
        run_job(here, "ingest", arguments)


@contextmanager
def told(declared: Declared, lake: Lake, batches: Sequence[str], given: Sequence[str] = ()) -> Iterator[None]:
    """However the job in the block ends, say what became of its batches; a stop then needs no more than its heads."""
    try:
        yield
    except GateStopped as stopped:
        attempts = [one for batch in batches for one in _attempts(lake, batch)]
        raise in_short(declared, attempts, stopped) from None
    finally:
        for batch in batches:
            tell(declared, lake, batch, given)


def tell(declared: Declared, lake: Lake, batch: str, given: Sequence[str] = ()) -> None:
    """Say what became of a batch: where its rows are, and what the gates found that is more than a pass."""
    for line in [*repeated(lake, batch), *lines(declared, lake, batch)]:
        typer.echo(line)
    notable = [one for one in _attempts(lake, batch) if one.verdict is not Verdict.PASS]
    tell_findings(declared, lake, notable, given=given)


def _attempts(lake: Lake, batch: str) -> list[Attempt]:
    return last_attempts(lake.rows("verdicts", where=ds.field("batch") == batch))


def lines(declared: Declared, lake: Lake, batch: str) -> Iterator[str]:
    """Where the rows of a batch are, stream by stream."""
    for stream in declared.streams:
        for row in lake.rows("batches", where=(ds.field("batch") == batch) & (ds.field("stream") == stream.name)):
            refused = row["rows"] - row["accepted"]
            told = [f"{row['accepted']:,} accepted"]
            told += [counted(row[f"{name}s"], name) for name in ("duplicate", "conflict") if row[f"{name}s"]]
            told += [f"{row['late']:,} late"] if row["late"] else []
            told += [f"{refused:,} refused (sluice quarantine list)"] if refused else []
            yield f"{stream.name}: {counted(row['rows'], 'row')} of batch {batch!r}: {', '.join(told)}"
            yield from _anew(lake, stream.name, batch)


def _anew(lake: Lake, stream: str, batch: str) -> Iterator[str]:
    """What restated days say otherwise than before."""
    for one in _attempts(lake, batch):
        for row in one.found:
            if (one.stream, row["rule"]) == (stream, "restatement") and json.loads(row["evidence"]):
                yield f"{stream}: told anew, {row['message']}"


def _name(files: Sequence[str], now: int, *, archived: bool) -> str:
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
