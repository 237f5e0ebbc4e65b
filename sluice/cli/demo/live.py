"""The live days: traffic on the event clock, and what is done beside it while callers wait for their answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow.dataset as ds

from flows.deployed import finished_run
from flows.place import Place, place
from flows.rollout import CONTROL, in_words, rollout
from flows.watch import watch
from serve import promotions
from sluice.cli.demo.clock import clock
from sluice.cli.demo.events import Events
from sluice.cli.demo.plan import Beside, Span
from sluice.cli.demo.teller import Teller
from sluice.cli.demo.traffic import Callers, Traffic
from sluice.declare.durations import DAY
from sluice.monitor.staleness import CAUSES

_ASKED = 32_000
"""About how many events are asked about over all live days: enough to judge by, and soon over."""
_SLICES = 16
"""Into how many slices a day is cut: how far a vector may lag behind the stream."""
_WEEK = 7 * DAY


def callers(pipeline: str, events: Events) -> Callers:
    """Callers who ask about as many of a day's events as the demo can bear."""
    daily = max(events_a_day(place(pipeline), events.start), 1)
    share = min(1.0, _ASKED / (daily * events.live_days))
    return Callers(pipeline, events.days, share, slice=max(daily // _SLICES, 10))


def events_a_day(here: Place, start: int) -> int:
    """How many events to score there were in a day, over the last week of history."""
    week = (ds.field("_time") >= start - _WEEK) & (ds.field("_time") < start)
    rows = here.lake.read(f"silver/{here.pipeline.events.name}", columns=["_id"], where=week).num_rows
    return int(rows) // 7


@dataclass
class Live:
    """The live days of one pipeline."""

    teller: Teller
    pipeline: str
    events: Events
    traffic: Traffic
    retraining: list[int] = field(default_factory=list)
    """The event times of decisions whose retraining has not been seen to end."""
    controls: bool = False
    """Whether a retraining has made controls, which can be let in."""
    _told: int = field(init=False)
    """How many moves of models have been told."""

    def __post_init__(self) -> None:
        """What has moved by now was told when it did."""
        self._told = len(promotions.moves(self._here.lake))

    def doing(self, span: Span) -> str:
        """What happens in a span, in a line."""
        beside = [str(beside) for beside in span.beside if self._due(beside)]
        return "; beside the traffic ".join(["scored over HTTP, folded into tiles, archived", *beside])

    def run(self, span: Span) -> None:
        """One span: its traffic, and what is due beside it."""
        due = [beside for beside in span.beside if self._due(beside)]
        with self.traffic.days(span.first, span.until, pace_s=max((_PACE[beside] for beside in due), default=0.0)):
            for beside in due:
                self._do(beside, self.events.day(span.first))
            if self.traffic.answered and any(_PACE[beside] for beside in due):
                self.teller.say("[yellow]the traffic of these days had ended before[/]")
        clock().move_to(self.events.day(span.until))
        self._tell_answers(span)

    def watch(self, at: int) -> None:
        """Audit, drift, quality and a decision for every segment, over everything up to `at`."""
        watch(self.pipeline, at=at)
        lake = self._here.lake
        audits = lake.rows("audits", where=ds.field("at") == at)
        stale = sum(any(row[cause] for cause in CAUSES) for row in audits)
        told = f"audit: {len(audits):,} vectors, {sum(not row['equal'] for row in audits):,} differ"
        self.teller.say(f"{told}; {stale:,} did not know all there is by now")
        for row in lake.rows("decisions", where=ds.field("at") == at):
            self.teller.say(f"{row['segment']}: [bold]{row['action']}[/] — {row['reason']}")
            if row["action"] == "retrain":
                self.retraining = sorted({*self.retraining, at})

    def see_retrained(self) -> None:
        """Wait until the runs that the decisions' events started have ended."""
        for at in self.retraining:
            run = finished_run("retrain", self._here.pipeline.name, at)
            self.teller.say(f"[bold]retrained[/] by the event of the decision: flow run {run.name}")
        self.controls = self.controls or bool(self.retraining)
        self.retraining = []
        moves = promotions.moves(self._here.lake)[self._told :]
        self._tell_moved(in_words(promotions.move_of(row)) for row in moves)

    def _due(self, beside: Beside) -> bool:
        """Whether there is something to do: a decision to wait for, a challenger to move, controls to let in."""
        match beside:
            case Beside.WATCH:
                return True
            case Beside.RETRAINING:
                return bool(self.retraining)
            case Beside.ROLLOUT:
                return self._on_trial
            case Beside.CONTROL:
                return self.controls

    def _do(self, beside: Beside, at: int) -> None:
        match beside:
            case Beside.WATCH:
                self.watch(at)
            case Beside.RETRAINING:
                self.see_retrained()
            case Beside.ROLLOUT:
                self._tell_moved(rollout(self.pipeline))
            case Beside.CONTROL:
                self._tell_moved(rollout(self.pipeline, variant=CONTROL))

    @property
    def _on_trial(self) -> bool:
        """Whether a challenger waits for its next move."""
        return any(state.challenger is not None for state in promotions.state(self._here.lake).values())

    def _tell_answers(self, span: Span) -> None:
        asked = self._here.lake.rows("requests", where=ds.field("at") > self.events.day(span.first))
        answered = sum(row["status"] == 200 for row in asked)
        refused = sum(row["status"] == 422 for row in asked)
        failed = len(asked) - answered - refused
        self.teller.say(f"{len(asked):,} requests: {answered:,} answered, {refused:,} refused, {failed:,} failed")

    def _tell_moved(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.teller.say(line)
        self._told = len(promotions.moves(self._here.lake))

    @property
    def _here(self) -> Place:
        return place(self.pipeline)


_PACE = {Beside.WATCH: 0.0, Beside.RETRAINING: 0.25, Beside.ROLLOUT: 0.05, Beside.CONTROL: 0.05}
"""Seconds to pause before each request, so that some are in flight for as long as there is something to do."""
