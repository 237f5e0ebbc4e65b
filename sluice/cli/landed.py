"""What became of a batch, in lines to read: where its rows are, and what its gates found."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow.dataset as ds
import typer

from sluice.cli.findings import in_short
from sluice.cli.gates import tell as tell_findings
from sluice.decisions import Verdict
from sluice.declare.pipeline import Pipeline
from sluice.errors import GateStopped
from sluice.lake.attempts import Attempt, last_attempts
from sluice.lake.delivered import repeated
from sluice.lake.tables import Lake
from sluice.wording import command, counted


@contextmanager
def told(declared: Pipeline, lake: Lake, batches: Sequence[str]) -> Iterator[None]:
    """However the job in the block ends, say what became of its batches; a stop then needs no more than its heads."""
    try:
        yield
    except GateStopped as stopped:
        attempts = [one for batch in batches for one in _attempts(lake, batch)]
        raise in_short(declared, attempts, stopped) from None
    finally:
        for batch in batches:
            tell(declared, lake, batch)


def tell(declared: Pipeline, lake: Lake, batch: str) -> None:
    """Say what became of a batch: where its rows are, and what the gates found that is more than a pass."""
    for line in [*repeated(lake, batch), *lines(declared, lake, batch)]:
        typer.echo(line)
    notable = [one for one in _attempts(lake, batch) if one.verdict is not Verdict.PASS]
    tell_findings(declared, lake, notable)


def _attempts(lake: Lake, batch: str) -> list[Attempt]:
    return last_attempts(lake.rows("verdicts", where=ds.field("batch") == batch))


def lines(declared: Pipeline, lake: Lake, batch: str) -> Iterator[str]:
    """Where the rows of a batch are, stream by stream."""
    for stream in declared.streams:
        for row in lake.rows("batches", where=(ds.field("batch") == batch) & (ds.field("stream") == stream.name)):
            refused = row["rows"] - row["accepted"]
            told = [f"{row['accepted']:,} accepted"]
            told += [counted(row[f"{name}s"], name) for name in ("duplicate", "conflict") if row[f"{name}s"]]
            told += [f"{row['late']:,} late"] if row["late"] else []
            told += [f"{refused:,} refused ({command('quarantine', 'list', declared.reference)})"] if refused else []
            yield f"{stream.name}: {counted(row['rows'], 'row')} of batch {batch!r}: {', '.join(told)}"
            yield from _anew(lake, stream.name, batch)


def _anew(lake: Lake, stream: str, batch: str) -> Iterator[str]:
    """What restated days say otherwise than before."""
    for one in _attempts(lake, batch):
        for row in one.found:
            if (one.stream, row["rule"]) == (stream, "restatement") and json.loads(row["evidence"]):
                yield f"{stream}: told anew, {row['message']}"
