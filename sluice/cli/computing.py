"""Computing on Spark: the job in a process of its own, and what it says it did."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

from sluice.errors import DataError
from sluice.lake.computing import Computed
from sluice.local.environment import engine_environment
from sluice.local.spark import last_words, spark_command
from sluice.settings import settings


def on_spark(pipeline: str, events: Path, out: Path) -> Computed:
    """Run the job `compute`; DataError with its own last words when it fails."""
    here = settings()
    with tempfile.TemporaryDirectory() as folder:
        summary = Path(folder) / "summary.json"
        given = ["--pipeline", pipeline, "--events", str(events), "--out", str(out), "--summary", str(summary)]
        command = spark_command(here, "compute", [*given, "--lake", here.places.lake_uri])
        environment = {**os.environ, **engine_environment(here)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            words = last_words(done.stdout) or last_words(done.stderr) or done.stderr[-2000:]
            raise DataError(words, where="spark_jobs/compute.py")
        return Computed(**json.loads(summary.read_text()))
