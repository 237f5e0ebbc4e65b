"""Attempts: a batch of a stream is judged anew until the gates let it pass, and the last attempt is what holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as ds

from sluice.decisions import Verdict
from sluice.lake.contract import PRESENT
from sluice.lake.tables import Lake


@dataclass(frozen=True)
class Attempt:
    """What the gates found of one batch of one stream, once."""

    stream: str
    batch: str
    at: int
    """The moment that it was judged for, by the event clock."""
    run: str | None
    found: Sequence[Mapping[str, Any]]
    """As `verdicts`, the gravest first."""

    @property
    def verdict(self) -> Verdict:
        """The gravest of what was found."""
        return Verdict(self.found[0]["verdict"])

    @property
    def renamed(self) -> Mapping[str, str]:
        """Declared columns that it called otherwise."""
        return dict(json.loads(self.found[0].get("renamed") or "{}"))

    @property
    def stops(self) -> Sequence[Mapping[str, Any]]:
        """The findings that stop it."""
        return [row for row in self.found if row["verdict"] == Verdict.STOP]


def last_attempts(verdicts: Iterable[Mapping[str, Any]]) -> list[Attempt]:
    """The last attempt of every batch of every stream, the newest first."""
    last: dict[tuple[str, str], tuple[tuple[int, int, str], list[Mapping[str, Any]]]] = {}
    for row in verdicts:
        order = row.get("attempt") or 0, row["at"], row.get("run") or ""
        key = row["stream"], row["batch"]
        known, rows = last.get(key, (order, []))
        if order == known:
            last[key] = order, [*rows, row]
        elif order > known:
            last[key] = order, [row]
    found = [_attempt(rows) for _, rows in last.values()]
    return sorted(found, key=lambda one: (-one.at, one.batch, one.stream))


def attempts_of(lake: Lake, stream: str, batch: str) -> int:
    """How often a batch of a stream was judged."""
    rows = lake.rows("verdicts", where=(ds.field("stream") == stream) & (ds.field("batch") == batch))
    return max((row.get("attempt") or 0 for row in rows), default=0)


def waiting(lake: Lake) -> list[Attempt]:
    """The batches that a gate has stopped and that are no history yet, the newest first.

    One of which nothing is left waits for nobody: the next batch has taken what was archived, or its rows were dropped.
    """
    shown = {(row["stream"], row["batch"]) for row in lake.published()}
    stopped = [one for one in last_attempts(lake.rows("verdicts")) if one.stops]
    return [one for one in stopped if (one.stream, one.batch) not in shown and _landed(lake, one)]


def _landed(lake: Lake, attempt: Attempt) -> bool:
    return lake.count(f"events/{attempt.stream}", where=PRESENT & (ds.field("batch") == attempt.batch)) > 0


def _attempt(rows: Sequence[Mapping[str, Any]]) -> Attempt:
    order = [Verdict.STOP, Verdict.WARN, Verdict.PASS]
    found = sorted(rows, key=lambda row: order.index(Verdict(row["verdict"])))
    first = found[0]
    return Attempt(first["stream"], first["batch"], first["at"], first.get("run"), found)
