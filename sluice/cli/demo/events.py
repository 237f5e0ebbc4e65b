"""Where a demo's events come from: simulated card payments, or a file of one's own cut into history and live days."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sluice.cli.demo.plan import SHORT, WHOLE, Story
from sluice.declare.durations import DAY
from sluice.declare.pipeline import Pipeline
from sluice.errors import UserError
from sluice.local.messages import Message
from sluice.local.own_files import LiveDays, find_files, first_live_moment, write_history_file
from sluice.local.simulator import Injections, Simulation, World, feed, simulate, write_history
from sluice.local.simulator.tables import SCHEMAS


@dataclass(frozen=True)
class Delivery:
    """A batch of files on its way into history: `renamed` is what repairs it, if a gate has to stop it first."""

    batch: str
    files: Sequence[tuple[str, str]]
    at: int
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Days(Protocol):
    """Live days, which another process can open too: a value that can be pickled."""

    def between(self, first: int, until: int) -> Iterator[Message]:
        """The messages that arrive from one live day to before another, in order of arrival."""
        ...


@dataclass(frozen=True)
class Events:
    """A demo's events: deliveries of history up to `start`, then live days, and what is done beside them."""

    deliveries: Sequence[Delivery]
    start: int
    """When the live days begin, event-clock microseconds."""
    live_days: int
    days: Days
    story: Story = WHOLE

    def day(self, live_day: int) -> int:
        """The midnight that begins a live day."""
        return self.start + live_day * DAY


@dataclass(frozen=True)
class SimulatedDays:
    """The live days of a simulated world."""

    world: World
    injections: Injections
    first: int
    """The day of the world that is live day 0."""

    def between(self, first: int, until: int) -> Iterator[Message]:
        """The messages that arrive from one live day to before another, in order of arrival."""
        return feed(_simulation(self.world, self.injections), self.first + first, self.first + until)


def simulated(world: World, live_days: int, injections: Injections, folder: Path) -> Events:
    """Simulated payments: weekly files of history, its last day by itself, and the live days as a feed."""
    simulation = _simulation(world, injections)
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
        SimulatedDays(world, injections, first_live),
    )


def check_simulated(pipeline: Pipeline) -> None:
    """UserError unless the simulator makes the events of this pipeline."""
    for stream in pipeline.streams:
        needed = set(map(stream.source, stream.all_columns))
        if not needed <= set(SCHEMAS[stream.name].names if stream.name in SCHEMAS else ()):
            raise UserError(
                f"nobody simulates {stream.name} with {', '.join(sorted(needed))}",
                where=f"pipeline {pipeline.name}",
                allowed=[f"{name}: {', '.join(schema.names)}" for name, schema in SCHEMAS.items()],
                next_step="bring its events: make demo PIPELINE=… EVENTS=file.parquet (or a folder)",
            )


def own(reference: str, pipeline: Pipeline, path: Path, live_days: int, folder: Path) -> Events:
    """Events of one's own: all days but the last ones are history, in one delivery."""
    files = find_files(pipeline, path)
    start = first_live_moment(pipeline, files, live_days)
    history = {
        name: write_history_file(pipeline.stream(name), file, start, folder / name / "history.parquet")
        for name, file in files.items()
    }
    return Events(
        [Delivery("history", [(name, str(file)) for name, file in history.items()], start)],
        start,
        live_days,
        LiveDays(reference, tuple((name, str(file.absolute())) for name, file in files.items()), start),
        SHORT,
    )


@functools.lru_cache(maxsize=1)
def _simulation(world: World, injections: Injections) -> Simulation:
    return simulate(world, injections)


def _named(paths: Sequence[Path]) -> list[tuple[str, str]]:
    return [(path.parent.name, str(path)) for path in paths]
