"""How a Spark job is started: spark-submit in a process of its own, with the jars and the place to work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sluice.errors import DataError, DeclarationError, GateStopped, Outage, SluiceError, UserError
from sluice.local.environment import engine_environment
from sluice.local.jars import delta_jars
from sluice.settings import Settings

_ERRORS: dict[str, type[SluiceError]] = {
    error.__name__: error for error in (GateStopped, DataError, UserError, DeclarationError, Outage)
}
"""What a job's last message begins with."""


def spark_command(settings: Settings, job: str, arguments: Sequence[str], jars: Sequence[Path] = ()) -> list[str]:
    """The command that runs `spark_jobs/<job>.py` with Delta and more jars; UserError when there is no such job."""
    return [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", settings.engines.spark_master),
        *("--driver-memory", settings.sizes.spark_driver_memory),
        *("--jars", ",".join(map(str, [*delta_jars(), *jars]))),
        *("--conf", "spark.ui.enabled=false"),
        str(_script(job)),
        *arguments,
    ]


def run_job(settings: Settings, job: str, arguments: Sequence[str], jars: Sequence[Path] = ()) -> None:
    """Run `spark_jobs/<job>.py` to its end; what it ended with is raised as the error that it was."""
    environment = {**os.environ, **engine_environment(settings)}
    command = spark_command(settings, job, arguments, jars)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        # spark-submit hands a Python job's stderr on to its own stdout
        raise failure(job, done.stdout, done.stderr)


def failure(job: str, *told: str) -> SluiceError:
    """What a job ended with, from what it wrote: its own error; else the end of a traceback, or of all of it."""
    where = f"spark_jobs/{job}.py"
    for text in told:
        lines = text.strip().splitlines()
        for index in range(len(lines) - 1, -1, -1):
            error = _ERRORS.get(lines[index].split(":")[0])
            if error is not None:
                return error("\n".join(lines[index:]).partition(": ")[2], where=where)
    traced = next((text for text in told if "Traceback" in text), told[-1])
    return DataError("\n".join(traced.strip().splitlines()[-15:]) or "it ended without a word", where=where)


def _script(job: str) -> Path:
    spec = importlib.util.find_spec(f"spark_jobs.{job}")
    if spec is None or spec.origin is None:
        raise UserError(f"there is no job {job!r}")
    return Path(spec.origin)
