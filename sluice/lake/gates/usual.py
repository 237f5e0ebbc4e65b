"""What was usual in the batches before: what a rule about a whole table compares the next one with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import pyarrow.dataset as ds

from sluice.lake.attempts import last_attempts
from sluice.lake.replays import REPLAY
from sluice.lake.tables import Lake

BATCHES = 30
"""How many batches that readers see are looked back at."""
LEAST = 4
"""How many it takes to say what number of rows is usual."""


@dataclass(frozen=True)
class Usual:
    """Some batches before: the share of rows without a value of each nullable column, and the rows of each batch."""

    batches: int = 0
    missing: Mapping[str, float] = field(default_factory=dict)
    rows: Sequence[tuple[str | None, int]] = ()
    """Of each batch, the weekday of its newest event, and its rows."""

    def rows_of(self, weekday: str | None) -> tuple[float | None, str]:
        """The median rows of batches of that weekday, else of all; None of too few. And on which days, in words."""
        same = [rows for name, rows in self.rows if name == weekday]
        every = [rows for _, rows in self.rows]
        if weekday is not None and len(same) >= LEAST:
            return median(same), f"on a {weekday}"
        return (median(every), "in a batch") if len(every) >= LEAST else (None, "")


def usual(lake: Lake, stream: str) -> Usual:
    """What the newest published batches of a stream were like, each as its last verdict says.

    Replays and restated days are left out of the count: their rows were picked, or are of several days.
    """
    shown = {row["batch"] for row in lake.published(stream) if not row["batch"].startswith(REPLAY)}
    where = (ds.field("stream") == stream) & ds.field("rule").isin(["missing", "count"])
    verdicts = [row for row in lake.rows("verdicts", where=where) if row["batch"] in shown]
    newest = _newest(row for row in verdicts if row["rule"] == "missing")
    missing: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    for row in newest:
        for name, share in json.loads(row["evidence"]).items():
            missing[name] += share * row["rows"]
            rows[name] += row["rows"]
    counts = [json.loads(row["evidence"]) for row in _newest(row for row in verdicts if row["rule"] == "count")]
    # what the archive had when it was asked is no delivery of a day
    compared = [one for one in counts if one.get("compared", True)]
    return Usual(
        len(newest),
        {name: missing[name] / count for name, count in rows.items() if count},
        [(one.get("weekday"), one["rows"]) for one in compared],
    )


def _newest(verdicts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Of each batch what one gate found last, of the newest batches, oldest first."""
    return [one.found[0] for one in last_attempts(verdicts)[:BATCHES]][::-1]
