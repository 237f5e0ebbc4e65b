"""How long the tests of each folder may take together, in seconds on two free cores; what they took is printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

import pytest

BUDGET = {
    "tests/benchmarks": 5,
    "tests/flows": 70,
    "tests/golden": 25,
    "tests/models": 90,
    "tests/mutants": 35,
    "tests/serve": 40,
    "tests/sluice/cli": 850,
    "tests/sluice/declare": 5,
    "tests/sluice/engine": 60,
    "tests/sluice/feast": 80,
    "tests/sluice/lake": 240,
    "tests/sluice/local": 90,
    "tests/sluice/monitor": 70,
    "tests/sluice/scoring": 5,
    "tests/sluice/stream": 450,
    "tests/sluice": 5,
    "tests/spark_jobs": 480,
    "tests": 5,
}
"""At most forty-five minutes in all (a test keeps it); the whole loop, run once in tests/sluice/cli, is a third."""


def spent(reports: Iterable[pytest.TestReport]) -> dict[str, float]:
    """Seconds by folder of the budget, set-up and tear-down included."""
    found: Counter[str] = Counter()
    for report in reports:
        parents = [str(parent) for parent in PurePosixPath(report.nodeid.split("::")[0]).parents]
        found[next(folder for folder in parents if folder in BUDGET)] += report.duration
    return dict(found)


def lines(seconds: Mapping[str, float]) -> list[str]:
    """One line for each folder that ran, the dearest first; what is over its budget says so."""
    return [
        f"{taken:6.0f} s of {BUDGET[folder]:5} s  {folder}{'  OVER' if taken > BUDGET[folder] else ''}"
        for folder, taken in sorted(seconds.items(), key=lambda item: -item[1])
    ]
