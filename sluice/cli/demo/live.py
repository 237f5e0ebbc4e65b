"""The live days: traffic on the event clock, and what is done beside it while callers wait for their answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pyarrow.dataset as ds

from flows.deployed import finished_run
from flows.place import Place, place
from flows.rollout import rollout
from flows.watch import watch
from serve import promotions
from sluice.cli.demo.clock import clock
from sluice.cli.demo.payments import Events
from sluice.cli.demo.plan import Span
from sluice.cli.demo.teller import Teller
from sluice.declare.durations import DAY
from sluice.engine.sqlite import open_store
from sluice.local.replay import Replay
from sluice.stream.producer import Producer

_ASKED = 35_000
"""About how many events are asked about over all live days: enough to judge by, and soon over."""
_SLICES = 16
"""Into how many slices a day is cut: how far a vector may lag behind the stream."""
_WEEK = 7 * DAY


@dataclass
class Live:
    """The live days of one pipeline; `pending` is what waits to be done while the next traffic runs."""

    teller: Teller
    pipeline: str
    events: Events
    retraining: int | None = None
    """The event time of a decision whose retraining has not been seen to end."""
    controls: bool = False
    """Whether the controls are to be let in."""
    _daily: int = field(init=False)

    def __post_init__(self) -> None:
        """See how much happens in a day."""
        self._daily = max(events_a_day(self._here, self.events.start), 1)

    def doing(self, span: Span) -> str:
        """What happens in a span, in a line."""
        beside = "a retraining that the decision's event started" if self.retraining is not None else ""
        if not beside and (self.on_trial or self.controls):
            beside = "a step of every rollout"
        parts = ["scored over HTTP, folded into tiles, archived", f"beside it {beside}" if beside else ""]
        return "; ".join([part for part in parts if part] + (["then watched"] if span.watched else []))

    def run(self, span: Span) -> None:
        """One span: its traffic, with what is pending beside it, and what follows."""
        with self.traffic(span):
            self.act(self.events.day(span.first))
        self.tell_answers(span)
        if span.watched:
            self.watch(self.events.day(span.until))
        self.controls = self.controls or span.control

    def act(self, at: int) -> None:
        """Do what is pending: see a retraining to its end, or move every rollout by a step."""
        before = len(promotions.moves(self._here.lake))
        if self.retraining is not None:
            run = finished_run("retrain", self.retraining)
            self.retraining = None
            self.teller.say(f"[bold]retrained[/] by the event of the decision: flow run {run.name}")
        elif self.on_trial or self.controls:
            rollout(self.pipeline, at=at)
            if self.controls and not self.on_trial:
                rollout(self.pipeline, at=at, variant="shuffled")
        self.tell_moves(before)

    @property
    def pace_s(self) -> float:
        """How long to pause before each request, so that some are in flight for as long as there is something to do."""
        if self.retraining is not None:
            return 0.25
        return 0.05 if self.on_trial or self.controls else 0.0

    @property
    def on_trial(self) -> bool:
        """Whether a challenger waits for its next move."""
        return any(state.challenger is not None for state in promotions.state(self._here.lake).values())

    @contextmanager
    def traffic(self, span: Span) -> Iterator[None]:
        """Score and produce a span's events while the block runs, and after it those that are left."""
        here = self._here
        store = open_store(here.settings.places.online_uri, here.pipeline.name, read_only=True)
        with Producer(here.settings.kafka) as producer:
            replay = Replay(
                here.pipeline,
                here.lake,
                store,
                clock(),
                producer,
                here.settings.serve_url,
                share=min(1.0, _ASKED / (self._daily * self.events.live_days)),
                slice=max(self._daily // _SLICES, 10),
                pace_s=self.pace_s,
            )
            failed: list[BaseException] = []
            running = threading.Thread(target=_run, args=(replay, self.events, span, failed), daemon=True)
            running.start()
            try:
                yield
            finally:
                replay.hurry.set()
                running.join()
                store.close()
        if failed:
            raise failed[0]
        clock().move_to(self.events.day(span.until))

    def watch(self, at: int) -> None:
        """Audit, drift, quality and a decision for every segment."""
        watch(self.pipeline, at=at)
        lake = self._here.lake
        audits = lake.rows("audits", where=ds.field("at") == at)
        self.teller.say(f"audit: {len(audits):,} vectors, {sum(not row['equal'] for row in audits):,} differ")
        for row in lake.rows("decisions", where=ds.field("at") == at):
            self.teller.say(f"{row['segment']}: [bold]{row['action']}[/] — {row['reason']}")
            if row["action"] == "retrain":
                self.retraining = at

    def tell_answers(self, span: Span) -> None:
        """Say how many requests the span's callers made."""
        asked = self._here.lake.rows("requests", where=ds.field("at") > self.events.day(span.first))
        answered = sum(row["status"] == 200 for row in asked)
        refused = sum(row["status"] == 422 for row in asked)
        failed = len(asked) - answered - refused
        self.teller.say(f"{len(asked):,} requests: {answered:,} answered, {refused:,} refused, {failed:,} failed")

    def tell_moves(self, before: int) -> None:
        """Say which models moved since there were `before` moves."""
        for row in promotions.moves(self._here.lake)[before:]:
            self.teller.say(f"{row['segment']}: [bold]{row['move']}[/] {row['to']} — {row['reason']}")

    @property
    def _here(self) -> Place:
        return place(self.pipeline)


def events_a_day(here: Place, start: int) -> int:
    """How many events to score there were in a day, over the last week of history."""
    week = (ds.field("_time") >= start - _WEEK) & (ds.field("_time") < start)
    rows = here.lake.read(f"silver/{here.pipeline.events.name}", columns=["_id"], where=week).num_rows
    return int(rows) // 7


def _run(replay: Replay, events: Events, span: Span, failed: list[BaseException]) -> None:
    try:
        replay.run(events.live(span.first, span.until))
    except Exception as error:  # noqa: BLE001  raised again by the thread that waits for this one
        failed.append(error)
