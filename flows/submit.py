"""Runs a Spark job by spark-submit in a process of its own, and brings its errors back as ours."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from prefect.logging import get_run_logger

from sluice.errors import DataError, GateStopped, Outage, SluiceError, UserError
from sluice.local.environment import engine_environment
from sluice.local.jars import delta_jars
from sluice.settings import settings

_ENDS: dict[int, type[SluiceError]] = {2: UserError, 3: GateStopped, 4: Outage}


def submit(job: str, arguments: Sequence[str]) -> None:
    """Run `spark_jobs/<job>.py`; GateStopped, UserError or Outage with the job's own last words when it ends so."""
    here = settings()
    command = [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", here.engines.spark_master),
        *("--driver-memory", here.sizes.spark_driver_memory),
        *("--jars", ",".join(map(str, delta_jars()))),
        *("--conf", "spark.ui.enabled=false"),
        str(_script(job)),
        *arguments,
    ]
    logger = get_run_logger()
    logger.info("spark-submit %s %s", job, " ".join(arguments))
    environment = {**os.environ, **engine_environment(here)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    # spark-submit hands a Python job's stderr on to its own stdout
    words = _last_words(done.stdout) or _last_words(done.stderr) or done.stderr[-2000:]
    logger.error("%s ended with %d: %s", job, done.returncode, words)
    raise _ENDS.get(done.returncode, DataError)(words, where=f"spark_jobs/{job}.py")


def _script(job: str) -> Path:
    spec = importlib.util.find_spec(f"spark_jobs.{job}")
    if spec is None or spec.origin is None:
        raise UserError(f"there is no job {job!r}")
    return Path(spec.origin)


def _last_words(errors: str) -> str:
    """The message the job ended with, without Spark's own chatter; the last lines of a traceback; else nothing."""
    lines = errors.strip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].split(":")[0] in {"GateStopped", "DataError", "UserError", "DeclarationError", "Outage"}:
            return "\n".join(lines[index:]).partition(": ")[2]
    return "\n".join(lines[-15:]) if any(line.startswith("Traceback") for line in lines) else ""
