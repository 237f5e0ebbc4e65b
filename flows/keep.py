"""Keep: what is older than declared goes, small files are packed, and files that no kept version names are removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from flows.place import moment, place
from serve.promotions import in_use
from sluice.lake.keeping.keep import apply


@flow(name="keep")
def keep(pipeline: str, at: int | None = None) -> int:
    """Keep the lake as the declaration says at `at`; to how many tables something was done.

    What went, and what stays and why, is the run's artifact. A run that died is finished by the next one, and one that
    is run again finds nothing to do.
    """
    told = keep_as_declared(pipeline, moment(at))
    show(told)
    return len({row["table"] for row in told if row["count"]})


@task(name="keep as declared")
def keep_as_declared(pipeline: str, at: int) -> list[dict[str, Any]]:
    """Drop, pack and remove; the models of the rollout keep what they were trained on."""
    here = place(pipeline)
    return [asdict(one) for one in apply(here.lake, here.pipeline, at, in_use(here.lake))]


def show(told: Sequence[dict[str, Any]]) -> None:
    """Put what was done on the run's page, if there is anything to say."""
    if told:
        create_table_artifact(table=list(told), key="keeping", description="What went, and what stays and why")
