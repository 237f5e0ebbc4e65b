"""Served vectors that had seen what an erasure has taken away since: of these nothing can tell any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

from sluice.declare.pipeline import Pipeline
from sluice.lake.asof import place
from sluice.lake.forgetting.erasures import Reached, reached, receipts
from sluice.lake.tables import Lake


class Answered(Protocol):
    """What was asked, of which moment, and which versions of as-of tables the answer looked at."""

    @property
    def request(self) -> Mapping[str, Any]:
        """The declared columns."""

    @property
    def event_time(self) -> int:
        """Microseconds."""

    @property
    def tables(self) -> Mapping[str, int]:
        """By name."""


A = TypeVar("A", bound=Answered)


def untouched(lake: Lake, pipeline: Pipeline, served: Sequence[A]) -> list[A]:
    """Those of some answers that had seen nothing of what was forgotten since."""
    seen, versions = reached(lake), _first_versions(lake)
    if seen.names is None:
        return list(served)
    return [item for item in served if not (_had_seen(pipeline, seen, item) or _had_looked(versions, item))]


def _had_seen(pipeline: Pipeline, seen: Reached, item: Answered) -> bool:
    time = item.event_time
    return any(seen.has(view.name, item.request.get(view.of), time - view.reach, time) for view in pipeline.windows)


def _had_looked(versions: Mapping[str, int], item: Answered) -> bool:
    return any(version < versions.get(place(name), version) for name, version in item.tables.items())


def _first_versions(lake: Lake) -> dict[str, int]:
    """The first version of each table that has nothing of what was forgotten."""
    found: dict[str, int] = {}
    for one in receipts(lake):
        for table, version in one.versions.items():
            if one.rows.get(table):
                found[table] = max(version, found.get(table, version))
    return found
