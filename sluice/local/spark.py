"""How a Spark job is started: spark-submit in a process of its own, with the jars and the place to work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from sluice.errors import EXIT_CODES, KINDS, DataError, SluiceError, UserError
from sluice.local.code import write_archive
from sluice.local.environment import engine_environment
from sluice.local.jars import delta_jars
from sluice.settings import Settings

_FAMILIES = {code: family for family, code in EXIT_CODES.items()}
_LAST_LINES = 5_000
"""Lines of a job that are kept, in which its last message is looked for."""


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 progress goes beside what a command prints


def spark_command(settings: Settings, job: str, arguments: Sequence[str], jars: Sequence[Path] = ()) -> list[str]:
    """The command that runs `spark_jobs/<job>.py` with Delta and more jars; UserError when there is no such job.

    On a master that is not this process' own, the executors are sent the code as one archive.
    """
    remote = not settings.engines.spark_master.startswith("local")
    return [
        str(Path(sys.executable).with_name("spark-submit")),
        *("--master", settings.engines.spark_master),
        *("--driver-memory", settings.sizes.spark_driver_memory),
        *("--jars", ",".join(map(str, [*delta_jars(), *jars]))),
        *(("--py-files", str(write_archive(settings.places.at("code")))) if remote else ()),
        *("--conf", "spark.ui.enabled=false"),
        str(_script(job)),
        *arguments,
    ]


def run_job(
    settings: Settings,
    job: str,
    arguments: Sequence[str],
    jars: Sequence[Path] = (),
    *,
    tell: Callable[[str], None] = _to_stderr,
) -> None:
    """Run `spark_jobs/<job>.py` to its end; what it ended with is raised as the error that it was.

    What it tells of its progress is told on as it comes.
    """
    environment = {**os.environ, **engine_environment(settings)}
    command = spark_command(settings, job, arguments, jars)
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            written = deque((_told_on(line, job, tell) for line in process.stdout or ()), _LAST_LINES)
        except BaseException:
            process.kill()
            raise
        if code := process.wait():
            errors.seek(0)
            # spark-submit hands a Python job's stderr on to its own stdout
            raise failure(job, code, "".join(written), errors.read())


def _told_on(line: str, job: str, tell: Callable[[str], None]) -> str:
    if line.startswith(f"{job}: "):
        tell(line.rstrip())
    return line


def failure(job: str, code: int, *told: str) -> SluiceError:
    """What a job ended with, from what it wrote: its own error; else the end of a traceback, or of all of it.

    Without a message of its own its exit code says whose turn it is.
    """
    where = f"spark_jobs/{job}.py"
    for text in told:
        lines = text.strip().splitlines()
        for index in range(len(lines) - 1, -1, -1):
            kind = KINDS.get(lines[index].split(":")[0])
            if kind is not None:
                return kind("\n".join(lines[index:]).partition(": ")[2], where=where)
    traced = next((text for text in told if "Traceback" in text), None)
    end = traced or next((text for text in reversed(told) if text.strip()), "")
    family = _FAMILIES.get(code, DataError)
    return family("\n".join(end.strip().splitlines()[-15:]) or "it ended without a word", where=where)


def _script(job: str) -> Path:
    spec = importlib.util.find_spec(f"spark_jobs.{job}")
    if spec is None or spec.origin is None:
        raise UserError(f"there is no job {job!r}")
    return Path(spec.origin)
