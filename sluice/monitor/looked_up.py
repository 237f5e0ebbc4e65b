"""As-of tables as the audit reads them: at the versions of K, as loaded by a moment, and as they are now."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import Lookups
from sluice.lake.asof import load, loads, newest
from sluice.lake.tables import Lake
from sluice.monitor.knowledge import Pairs


class Tables:
    """The as-of tables of a pipeline; each version is read once."""

    def __init__(self, lake: Lake, pipeline: Pipeline) -> None:
        self._lake, self._pipeline = lake, pipeline
        self._loads = {name: loads(lake, name) for name in pipeline.tables}
        self._read: dict[Pairs, Lookups] = {}

    def at(self, versions: Pairs) -> Lookups:
        """The tables at some versions; DataError for one that cannot be read."""
        if versions not in self._read:
            self._read[versions] = load(self._lake, self._pipeline, dict(versions))
        return self._read[versions]

    def newest(self) -> Lookups:
        """The tables as they are now."""
        return self.at(tuple(sorted(newest(self._lake, self._pipeline).items())))

    def loaded(self, asked: Iterable[tuple[Pairs, int]]) -> dict[Pairs, list[int]]:
        """The places of requests by the versions that were loaded at their time, or those of K if they are newer."""
        found: dict[Pairs, list[int]] = {}
        for place, (versions, time) in enumerate(asked):
            reached = tuple((name, max(version, self._by(name, time))) for name, version in versions)
            found.setdefault(reached, []).append(place)
        return found

    def _by(self, name: str, time: int) -> int:
        """The newest version of a table that had been loaded by a time; -1 for none."""
        return max((one.version for one in self._loads.get(name, ()) if one.at <= time), default=-1)
