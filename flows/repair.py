"""Repair: what came late, was corrected or was told anew, into the days it belongs to; and what that touched."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.events import TOUCHED, tell
from flows.features import features
from flows.place import moment, place
from sluice.clock import rfc3339
from sluice.lake.moved import COUNTS, Moved, most_moved
from sluice.lake.touched import VECTORS, Touched, note_before, tell_touched


@flow(name="repair")
def repair(pipeline: str, at: int | None = None, online: bool = False) -> str:
    """Compute the affected days again, and list what that touched: vectors, training sets and models.

    What was moved since the repair before, by whatever backfill, is listed too, also when that repair died before it
    could. With `online` the online store is started again from history, so that it knows what only files have brought.
    Returns the vectors' version, `vectors@4`; the event `sluice.repair.touched` names the models.
    """
    here, now = place(pipeline), moment(at)
    note_before(here.lake)
    version = features(pipeline, now, online)
    list_touched(pipeline, now)
    return version


@task(name="list what was touched")
def list_touched(pipeline: str, at: int) -> None:
    """Compare the vectors with those of which was told last, and every training set with what its events have now."""
    here = place(pipeline)
    found = tell_touched(here.lake, here.pipeline, at)
    if found is not None:
        show_touched(found)
        if found.models:
            tell(here, TOUCHED, f"{found.before}:{found.after}", {"at": at, "models": names(found)})


def names(found: Touched) -> list[str]:
    """The models that learned from what is no longer so."""
    return [f"{one.trained.model}/{one.trained.version}" for one in found.models]


def show_touched(found: Touched) -> None:
    """Put what was touched on the run's page."""
    rows = [_row(VECTORS, "", found.vectors)]
    rows += [_row(f"{one.trained.model}/{one.trained.version}", one.trained.segment, one.moved) for one in found.models]
    late = sum(int(str(row["late"])) for row in found.arrived)
    told = f"{len(found.arrived)} batches were new, {late:,} of their rows late: what is no longer as it was"
    create_table_artifact(table=rows, key="touched", description=told)


def _row(name: str, segment: str, moved: Moved) -> dict[str, object]:
    days = "" if moved.first is None or moved.last is None else f"{rfc3339(moved.first)} to {rfc3339(moved.last)}"
    return {
        "of": name,
        "segment": segment,
        **{what: getattr(moved, what) for what in COUNTS},
        "events": days,
        "most in": most_moved(moved.columns),
    }
