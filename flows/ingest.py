"""Ingest: a delivery of files, or what the archive has brought, through contract and gates into history."""

from __future__ import annotations

import pyarrow.dataset as ds
from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.events import STOPPED, tell
from flows.place import Place, moment, place
from flows.submit import submit
from sluice.errors import GateStopped
from sluice.lake.attempts import last_attempts
from sluice.stream.archive import wait_until_archived


@flow(name="ingest")
def ingest(
    pipeline: str,
    batch: str | None = None,
    files: list[tuple[str, str]] | None = None,
    renamed: dict[str, dict[str, str]] | None = None,
    at: int | None = None,
    restates: str | None = None,
) -> str:
    """Bring files (stream, path) into history, or without files what the archive wrote since the last batch.

    A gate that stops the batch fails the run, and the event `sluice.gate.stopped` goes out; the verdict is the run's
    artifact either way. With `restates`, a day or FIRST..LAST, the files are the whole truth about those days. Returns
    the batch's name.
    """
    here, now = place(pipeline), moment(at)
    name = batch or f"archived-{now}"
    try:
        land_and_judge(here.reference, name, now, files or [], renamed or {}, restates)
    except GateStopped as stopped:
        tell(here, STOPPED, f"{name}:{now}", {"batch": name, "at": now, "verdict": str(stopped)})
        raise
    finally:
        show_verdict(here, name, now)
    return name


@task(name="wait for the archive")
def wait_for_archive(pipeline: str) -> None:
    """Wait until the lake holds what was in the topics when this was called."""
    here = place(pipeline)
    wait_until_archived(here.pipeline, here.lake, here.settings.kafka)


@task(name="land and judge", retries=0)
def land_and_judge(
    pipeline: str,
    batch: str,
    at: int,
    files: list[tuple[str, str]],
    renamed: dict[str, dict[str, str]],
    restates: str | None = None,
) -> None:
    """Run the ingest job."""
    here = place(pipeline)
    arguments = ["--pipeline", pipeline, "--lake", here.settings.places.lake_uri, "--batch", batch, "--at", str(at)]
    arguments += ["--restates", restates] if restates else []
    for stream, path in files:
        arguments += ["--file", f"{stream}={path}"]
    for stream, columns in renamed.items():
        for column, name in columns.items():
            arguments += ["--rename", f"{stream}:{column}={name}"]
    if not files and not renamed:
        arguments.append("--from-bronze")
    submit("ingest", arguments)


def show_verdict(here: Place, batch: str, at: int) -> None:
    """Put what the gates found on the run's page."""
    judged = last_attempts(here.lake.rows("verdicts", where=ds.field("batch") == batch))
    columns = ("stream", "rule", "verdict", "message")
    shown = [{name: row[name] for name in columns} for one in judged if one.at == at for row in one.found]
    if shown:
        create_table_artifact(table=shown, key="verdict", description=f"What the gates found of batch {batch}")
