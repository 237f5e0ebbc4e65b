"""Keep: what is older than declared goes, small files are packed, and files that no kept version names are removed."""

from __future__ import annotations

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.place import moment, place
from serve.promotions import in_use
from sluice.lake.keeping.keep import apply


@flow(name="keep")
def keep(pipeline: str, at: int | None = None) -> int:
    """Keep the lake as the declaration says at `at`; how many rows were dropped and files removed, and why what stays.

    A run that died is finished by the next one, and one that is run again finds nothing to do.
    """
    return keep_as_declared(pipeline, moment(at))


@task(name="keep as declared")
def keep_as_declared(pipeline: str, at: int) -> int:
    """Drop, pack and remove; what was done, and why not more, is the run's artifact."""
    here = place(pipeline)
    told = apply(here.lake, here.pipeline, at, in_use(here.lake))
    rows = [
        {"table": one.table, "what": one.what, "count": one.count, "bytes": one.bytes, "because": one.because}
        for one in told
    ]
    if rows:
        create_table_artifact(table=rows, key="keeping", description="What went, and what stays and why")
    return sum(one.count for one in told)
