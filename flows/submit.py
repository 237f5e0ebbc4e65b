"""Runs a Spark job by spark-submit in a process of its own, and brings its errors back as ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from prefect.logging import get_run_logger

from sluice.errors import DataError, GateStopped, Outage, SluiceError, UserError
from sluice.local.environment import engine_environment
from sluice.local.spark import last_words, spark_command
from sluice.settings import settings

_ENDS: dict[int, type[SluiceError]] = {2: UserError, 3: GateStopped, 4: Outage}


def submit(job: str, arguments: Sequence[str]) -> None:
    """Run `spark_jobs/<job>.py`; GateStopped, UserError or Outage with the job's own last words when it ends so."""
    here = settings()
    command = spark_command(here, job, arguments)
    logger = get_run_logger()
    logger.info("spark-submit %s %s", job, " ".join(arguments))
    environment = {**os.environ, **engine_environment(here)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    # spark-submit hands a Python job's stderr on to its own stdout
    words = last_words(done.stdout) or last_words(done.stderr) or done.stderr[-2000:]
    logger.error("%s ended with %d: %s", job, done.returncode, words)
    raise _ENDS.get(done.returncode, DataError)(words, where=f"spark_jobs/{job}.py")
