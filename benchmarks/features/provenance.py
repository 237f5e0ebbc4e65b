"""Where figures come from: commit, time, machine and versions, written beside them when they are measured."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

LIBRARIES = ("numpy", "numba", "pyarrow", "deltalake", "pyspark", "duckdb", "polars", "feast", "kafka-python", "redis")
MEASURED = "measured"
Part = Callable[[Path, int], dict[str, Any]]


def measured(part: Part, pairs: int) -> dict[str, Any]:
    """What a part measured, and first of all when, of which code, and on what: others may have been at work there."""
    told = {**_code(), "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"), **_machine()}
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        found = part(Path(folder), pairs)
    return {MEASURED: {**told, "load before": before, "load after": os.getloadavg()[0]}, **found}


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write raw numbers as JSON, a list of numbers on one line."""
    text = json.dumps(found, indent=1, ensure_ascii=False)
    path.write_text(
        re.sub(r"\[\s+([-\d.e,\s]+)\s+\]", lambda numbers: f"[{' '.join(numbers[1].split())}]", text) + "\n"
    )


def table(parts: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """A line for each part: where its figures come from."""
    yield from ("| part | commit | when | machine | with |", "|---|---|---|---|---|")
    for name, found in parts.items():
        told = found[MEASURED]
        yield f"| {name} | {told['commit']} | {told['date']} | {machine(told)} | {_versions(told)} |"
    yield ""


def machine(told: Mapping[str, Any]) -> str:
    """A machine in words, as far as it was written down."""
    cores = f"{told['cores']} cores" if "cores" in told else ""
    memory = f"{told['memory GB']} GB" if "memory GB" in told else ""
    load = f"load {told['load before']:.1f} before and {told['load after']:.1f} after" if "load before" in told else ""
    return ", ".join(one for one in (told.get("processor"), cores, memory, load) if one) or "not written down"


def _versions(told: Mapping[str, Any]) -> str:
    if "python" not in told:
        return "not written down"
    return ", ".join([f"Python {told['python']}", *(f"{name} {one}" for name, one in told["libraries"].items())])


def _code() -> dict[str, str]:
    """The commit, and whether anything but results was changed since."""
    commit = _git("rev-parse", "--short", "HEAD") or "unknown"
    changed = _git("status", "--porcelain", "--", ".", ":!benchmarks/results")
    return {"commit": f"{commit}, and what was changed since" if changed else commit}


def _git(*words: str) -> str:
    found = subprocess.run(["git", *words], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    return found.stdout.strip()


def _machine() -> dict[str, Any]:
    named = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return {
        "processor": named[1] if named else platform.machine(),
        "cores": os.cpu_count(),
        "memory GB": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in LIBRARIES},
    }
