"""Where a demo's events come from: simulated card payments, or a file of one's own cut into history and live days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sluice.declare.durations import DAY
from sluice.local.replay import Item
from sluice.local.simulator import Injections, World, feed, simulate, write_history


@dataclass(frozen=True)
class Delivery:
    """A batch of files on its way into history: `renamed` is what repairs it, if a gate has to stop it first."""

    batch: str
    files: Sequence[tuple[str, str]]
    at: int
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Events:
    """A demo's events: deliveries of history up to `start`, then live days."""

    deliveries: Sequence[Delivery]
    start: int
    """When the live days begin, event-clock microseconds."""
    live_days: int
    live: Callable[[int, int], Iterator[Item]]
    """The messages that arrive from one live day to before another."""

    def day(self, live_day: int) -> int:
        """The midnight that begins a live day."""
        return self.start + live_day * DAY


def simulated(world: World, live_days: int, injections: Injections, folder: Path) -> Events:
    """Simulated payments: weekly files of history, its last day by itself, and the live days as a feed."""
    simulation = simulate(world, injections)
    first_live = world.days - live_days
    last = first_live - 1
    weeks = write_history(simulation, folder / "weeks", last, days_per_file=7)
    day = write_history(simulation, folder / "day", first_live, from_day=last)
    broken = injections.schema_break
    repair: dict[str, dict[str, str]] = {broken.stream: {broken.column: f"{broken.column}_2"}} if broken else {}
    return Events(
        [
            Delivery("history", _named(weeks), world.midnight(last)),
            Delivery("last-day", _named(day), world.midnight(first_live), repair),
        ],
        world.midnight(first_live),
        live_days,
        lambda start, until: feed(simulation, first_live + start, first_live + until),
    )


def _named(paths: Sequence[Path]) -> list[tuple[str, str]]:
    return [(path.parent.name, str(path)) for path in paths]
