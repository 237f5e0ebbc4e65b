"""Runs a Spark job by spark-submit in a process of its own, and brings its errors back as ours."""

from __future__ import annotations

from collections.abc import Sequence

from prefect.logging import get_run_logger

from sluice.errors import SluiceError
from sluice.local.spark import run_job
from sluice.settings import settings


def submit(job: str, arguments: Sequence[str]) -> None:
    """Run `spark_jobs/<job>.py`; the run's log tells its progress, and the error that it ended with."""
    logger = get_run_logger()
    logger.info("spark-submit %s %s", job, " ".join(arguments))
    try:
        run_job(settings(), job, arguments, tell=logger.info)
    except SluiceError as error:
        logger.error("%s ended: %s", job, error)  # noqa: TRY400 the message is what there is to know
        raise
