"""Computing for files: the job on Spark in a process of its own, and what was done, in words."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sluice.lake.computing import Computed
from sluice.local.spark import run_job
from sluice.settings import settings

_WORDS = {
    "events": "events",
    "refused": "refused",
    "deleted": "deleted",
    "replaced": "replaced by a higher revision",
    "conflicts": "conflicts, settled by hash (same id and revision, other bytes)",
    "copies": "copies",
}
"""What became of rows, as the sum says it."""


def on_spark(pipeline: str, events: Path, out: Path) -> Computed:
    """Run the job `compute`; the error that it ended with."""
    here = settings()
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        given = ["--pipeline", pipeline, "--events", str(events), "--out", str(out), "--summary", str(summary)]
        run_job(here, "compute", [*given, "--lake", here.places.lake_uri])
        return Computed(**json.loads(summary.read_text()))


def report(done: Computed, out: Path, seconds: float) -> Iterator[str]:
    """What was done, line by line; a stream of which not every row is an event gets a sum that closes."""
    read = ", ".join(f"{rows:,} rows of {name}" for name, rows in done.rows.items())
    yield f"{read}: values of {done.events:,} events in {out}, {seconds:.1f} s"
    for name, fates in done.fates.items():
        counts = {"events": fates["events"], "refused": sum(done.refused.get(name, {}).values()), **fates}
        rows = sum(counts.values())
        if rows != counts["events"]:
            terms = [f"{count:,} {_WORDS[fate]}" for fate, count in counts.items() if count]
            yield f"{name}: {rows:,} rows = {' + '.join(terms)}"
    for name, reasons in done.refused.items():
        for reason, rows in reasons.items():
            yield f"refused: {rows:,} rows of {name}, {reason}"
    if done.refused_file:
        yield f"the refused rows with their reasons: {done.refused_file}"
