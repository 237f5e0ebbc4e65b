"""How a Spark job is started: spark-submit in a process of its own, with the jars and the place to work."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from sluice.errors import UserError
from sluice.local.jars import delta_jars
from sluice.settings import Settings


def spark_command(settings: Settings, job: str, arguments: Sequence[str]) -> list[str]:
    """The command that runs `spark_jobs/<job>.py`; UserError when there is no such job."""
    return [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", settings.engines.spark_master),
        *("--driver-memory", settings.sizes.spark_driver_memory),
        *("--jars", ",".join(map(str, delta_jars()))),
        *("--conf", "spark.ui.enabled=false"),
        str(_script(job)),
        *arguments,
    ]


def last_words(errors: str) -> str:
    """The message a job ended with, without Spark's own chatter; the last lines of a traceback; else nothing."""
    lines = errors.strip().splitlines()
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].split(":")[0] in {"GateStopped", "DataError", "UserError", "DeclarationError", "Outage"}:
            return "\n".join(lines[index:]).partition(": ")[2]
    return "\n".join(lines[-15:]) if any(line.startswith("Traceback") for line in lines) else ""


def _script(job: str) -> Path:
    spec = importlib.util.find_spec(f"spark_jobs.{job}")
    if spec is None or spec.origin is None:
        raise UserError(f"there is no job {job!r}")
    return Path(spec.origin)
