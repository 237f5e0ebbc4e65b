"""A standalone Spark cluster on loopback, whose workers know nothing of Sluice but what a job sends them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyspark

from sluice.local.ports import free_port

_PATIENCE_S = 90.0
_CLASSES = "org.apache.spark.deploy.{0}.{1}"


@dataclass
class Cluster:
    """A master and two workers of one core each, to start and to end; everything is below a folder."""

    folder: Path
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _ports: list[int] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self._ports[0]}"

    @property
    def events(self) -> Path:
        """Where Spark notes what ran where."""
        return self.folder / "events"

    def up(self) -> None:
        self._ports = [free_port(28_000 + os.getpid() % 2_000)]
        self._ports.append(free_port(self._ports[0] + 1))
        self.events.mkdir()
        self._python()
        self._start("master", "Master", "--port", str(self._ports[0]), "--webui-port", str(self._ports[1]))
        self._wait_for(0)
        for number in (1, 2):
            place = ("--work-dir", str(self.folder / f"worker-{number}"), "--webui-port", "0")
            self._start("worker", "Worker", self.url, "--cores", "1", "--memory", "1g", *place)
        self._wait_for(2)

    def down(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in self._processes:
            process.wait(30)

    def environment(self) -> dict[str, str]:
        """For who submits a job: what the workers' Python is, and that all of it stays on loopback."""
        return {
            **_bare(),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(self.folder / "python"),
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "SPARK_CONF_DIR": str(self.folder),
        }

    def tasks(self) -> Mapping[str, int]:
        """How many tasks each executor has ended since this was asked last."""
        found: dict[str, int] = {}
        for path in sorted(self.events.rglob("*")):
            lines = path.read_text().splitlines() if path.is_file() else []
            ended = [event for event in map(json.loads, lines) if event["Event"] == "SparkListenerTaskEnd"]
            for event in ended:
                executor = event["Task Info"]["Executor ID"]
                found[executor] = found.get(executor, 0) + 1
            if path.is_file():
                path.unlink()
        return found

    def _python(self) -> None:
        """The environment's packages, and nothing that was installed to be edited: the checkout is not among them."""
        packages, python = sysconfig.get_path("purelib"), self.folder / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n')
        python.chmod(0o755)
        settings = {
            "spark.eventLog.enabled": "true",
            "spark.eventLog.dir": self.events.as_uri(),
            "spark.eventLog.rolling.enabled": "false",
            "spark.eventLog.compress": "false",
            "spark.executor.memory": "512m",
        }
        (self.folder / "spark-defaults.conf").write_text("".join(f"{name} {text}\n" for name, text in settings.items()))

    def _start(self, room: str, name: str, *arguments: str) -> None:
        command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), _CLASSES.format(room, name)]
        with (self.folder / f"{room}-{len(self._processes)}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [*command, "--host", "127.0.0.1", *arguments],
                    cwd=self.folder,
                    env={**_bare(), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"},
                    stdout=log,
                    stderr=log,
                )
            )

    def _wait_for(self, workers: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while self._alive() < workers:
            assert time.monotonic() < deadline, (self.folder / "master-0.log").read_text()[-3_000:]
            time.sleep(0.2)

    def _alive(self) -> int:
        """How many workers the master knows; -1 while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._ports[1]}/json/", timeout=5) as answer:
                return int(json.load(answer)["aliveworkers"])
        except (urllib.error.URLError, ConnectionError):
            return -1


def _bare() -> dict[str, str]:
    """This process' environment, without what leads to the checkout."""
    return {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
