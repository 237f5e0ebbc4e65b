"""A calm world through the same story, and then a good challenger where the story has its control.

Run as a process of its own beside the services of another run; writes the figures to the path given.
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.features import backfill, load_online
from flows.place import place
from flows.rollout import rollout
from flows.train import train
from sluice.cli.demo import chapters
from sluice.cli.demo.ending import report
from sluice.cli.demo.events import simulated
from sluice.cli.demo.live import Live, callers
from sluice.cli.demo.plan import Beside, Story, spans
from sluice.cli.demo.teller import Teller
from sluice.cli.demo.traffic import Traffic
from sluice.cli.demo.workers import stream_workers
from sluice.local.simulator import Injections, World
from sluice.settings import settings
from tests.sluice.cli.conftest import CALM

STORY: Story = ((0.3, Beside.WATCH), (0.55, Beside.WATCH), (0.8, Beside.WATCH))
DAYS, LIVE_DAYS, TRIAL_DAYS = 182, 34, 8


def main(figures: Path) -> None:
    world = World(seed=3, customers=250, terminals=500, days=DAYS)
    events = simulated(world, LIVE_DAYS + TRIAL_DAYS, Injections.none(), settings().places.at("calm-files"))
    teller = Teller()
    chapters.describe(teller, CALM, events)
    chapters.ingest_history(teller, CALM, events)
    base = place(CALM).lake.version("batches")
    backfill(CALM, base, events.start, {})
    load_online(CALM, base, events.start)  # and not into Feast, where pipelines share the names of their views
    chapters.train_models(teller, CALM, events)
    chapters.roll_out(teller, CALM, events.start)
    with stream_workers(settings(), CALM), Traffic(callers(CALM, events)) as traffic:
        live = Live(teller, CALM, events, traffic)
        for span in spans(LIVE_DAYS, STORY):
            live.run(span)
        live.watch(events.day(LIVE_DAYS))
        try_good_challengers(live, traffic)
        live.watch(events.day(LIVE_DAYS + TRIAL_DAYS))
    report(teller, CALM, figures, events.day(LIVE_DAYS + TRIAL_DAYS))


def try_good_challengers(live: Live, traffic: Traffic) -> None:
    """Models that have learnt what there is to learn, through the same rollout as the controls."""
    at = live.events.day(LIVE_DAYS)
    backfill(CALM, place(CALM).lake.version("batches"), at, {})
    train(CALM, segments=["pos", "online"], at=at)
    for first in range(LIVE_DAYS, LIVE_DAYS + TRIAL_DAYS, 2):
        with traffic.days(first, first + 2, pace_s=0.02):
            for step in rollout(CALM):
                live.teller.say(step)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
