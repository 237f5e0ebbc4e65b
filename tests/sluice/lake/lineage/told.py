"""What runs were told as OpenLineage events, in a few words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sluice.lake.lineage.runs import FILE

Told = tuple[str, set[str], set[str]]


def events(home: Path, job: str) -> list[dict[str, Any]]:
    """The events of a job, as they were told."""
    told = [json.loads(line) for line in (home / FILE).read_text().splitlines()]
    return [one for one in told if one["job"]["name"] == job]


def runs(home: Path, job: str) -> list[Told]:
    """How the runs of a job began and ended, with what they had read and written: tables by their names in the lake."""
    return [
        (one["eventType"], {*map(_named, one["inputs"])}, {*map(_named, one["outputs"])}) for one in events(home, job)
    ]


def _named(dataset: dict[str, str]) -> str:
    lake, _, table = dataset["name"].rpartition("/lake/")
    return table.partition("/")[2] if lake else dataset["name"]
