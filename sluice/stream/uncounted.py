"""What a worker reads and does not count: events that the contract refuses, and those that come too late for a view.

The lake keeps the refused ones with their reasons, once they are ingested. Until then this is all that is known of
them, so a worker says it while it runs.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from sluice.declare.pipeline import Pipeline
from sluice.engine.encode import integers
from sluice.engine.fold import MicroBatch
from sluice.engine.versions import are_late
from sluice.wording import counted

logger = logging.getLogger(__name__)

EVERY_S = 60.0
"""The least time between two lines of a worker."""


@dataclass(frozen=True)
class Uncounted:
    """Events that were read: by rule those that were refused, and by view those that came after its horizon."""

    refused: Mapping[str, int] = field(default_factory=dict)
    expired: Mapping[str, int] = field(default_factory=dict)
    """One event may be too late for several views, and count in the others."""

    def __add__(self, other: Uncounted) -> Uncounted:
        return Uncounted(_sum(self.refused, other.refused), _sum(self.expired, other.expired))

    def __bool__(self) -> bool:
        return bool(self.refused or self.expired)

    def lines(self) -> list[str]:
        """Both in words."""
        refused, late = _listed(self.refused), _listed(self.expired)
        return [
            f"{counted(sum(self.refused.values()), 'event')} refused{': ' if refused else ''}{refused}",
            f"too late for a view: {late or 'none'}",
        ]


def uncounted(pipeline: Pipeline, batch: MicroBatch) -> Uncounted:
    """What a batch has that is in no value, or not in those of some view."""
    late = {
        view.name: int(are_late(view, events, integers(events.column("_time"))[0]).sum())
        for view in pipeline.windows
        if (events := batch.events.get(view.stream.name)) is not None
    }
    return Uncounted(batch.refused, {view: count for view, count in late.items() if count})


@dataclass
class Tally:
    """Adds up what a worker does not count, and says so: at once, and then once in `every_s` if there is more."""

    pipeline: Pipeline
    where: str
    every_s: float = EVERY_S
    total: Uncounted = field(default_factory=Uncounted)
    _said: float | None = field(default=None, init=False)

    def add(self, batch: MicroBatch) -> Uncounted:
        """Count a batch that has had its effect; what there is in it."""
        found, now = uncounted(self.pipeline, batch), time.monotonic()
        self.total += found
        if found and (self._said is None or now >= self._said + self.every_s):
            self._said = now
            logger.warning("%s, since the start: %s", self.where, "; ".join(self.total.lines()))
        return found


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return dict(Counter(one) + Counter(other))


def _listed(counts: Mapping[str, int]) -> str:
    """The greatest first: `json 3, range 2`."""
    return ", ".join(
        f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )
