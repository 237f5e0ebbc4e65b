"""What was usual in the batches before: what a rule about a whole table compares the next one with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow.dataset as ds

from sluice.lake.tables import Lake

BATCHES = 30
"""How many batches that readers see are looked back at."""


@dataclass(frozen=True)
class Usual:
    """The share of rows without a value, of each nullable column, over some batches."""

    batches: int = 0
    missing: Mapping[str, float] = field(default_factory=dict)


def usual(lake: Lake, stream: str) -> Usual:
    """What the newest published batches of a stream were like, each as its last verdict says."""
    shown = {row["batch"] for row in lake.published(stream)}
    where = (ds.field("stream") == stream) & (ds.field("rule") == "missing")
    verdicts = sorted(lake.rows("verdicts", where=where), key=lambda row: row["at"])
    last = {row["batch"]: row for row in verdicts if row["batch"] in shown}
    newest = sorted(last.values(), key=lambda row: row["at"])[-BATCHES:]
    missing: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for row in newest:
        for name, share in json.loads(row["evidence"]).items():
            missing[name] += share * row["rows"]
            rows[name] += row["rows"]
    return Usual(len(newest), {name: missing[name] / count for name, count in rows.items() if count})
