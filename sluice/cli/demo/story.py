"""The story: every chapter of the loop, on real parts, in the order in which data walks through them."""

from __future__ import annotations

from dataclasses import replace

from sluice.cli.demo import chapters, mending
from sluice.cli.demo.ending import report
from sluice.cli.demo.events import Events, own, simulated
from sluice.cli.demo.live import Live, callers
from sluice.cli.demo.options import Options
from sluice.cli.demo.plan import spans
from sluice.cli.demo.teller import Teller
from sluice.cli.demo.traffic import Traffic
from sluice.cli.demo.workers import stream_workers
from sluice.declare.loading import load_pipeline
from sluice.local.simulator import Injections, World
from sluice.settings import settings


def tell(options: Options) -> None:
    """Run and tell the whole loop."""
    teller = Teller()
    with teller.step("Services", "a Kafka broker, Prefect, Ray with Serve, and MLflow on a file"):
        chapters.start_services(teller, options.pipeline)
    with teller.step("Events", "history as files, the last days as a live feed, and what may go wrong in both"):
        events = gather(options)
        chapters.describe(teller, options.pipeline, events)
    with teller.step("History", "files → bronze → contract → gates → silver"):
        chapters.ingest_history(teller, options.pipeline, events)
    with teller.step("Features", "every vector of history, tiles into the online store, definitions into Feast"):
        chapters.compute_features(teller, options.pipeline, events)
    with teller.step("Training", "a model for each segment and one for all, in one Ray worker group"):
        chapters.train_models(teller, options.pipeline, events)
    with teller.step("Serving", "the first champions, one process for features, route and model"):
        chapters.roll_out(teller, options.pipeline, events.start)
    with stream_workers(settings(), options.pipeline):
        with Traffic(callers(options.pipeline, events)) as traffic:
            live = Live(teller, options.pipeline, events, traffic)
            for span in spans(events.live_days, events.story):
                with teller.step(span.name, live.doing(span)):
                    live.run(span)
        with teller.step("The last watch", "over the days since the one before"):
            live.watch(events.day(events.live_days))
    ended = events.day(events.live_days)
    with teller.step("Repair", "late, corrected and restated events into the days that they belong to"):
        if options.events is None and not options.quiet:
            mending.tell_anew(teller, options.pipeline, events)
        mending.repair_days(teller, options.pipeline, ended)
    report(teller, options.pipeline, options.report, ended)


def gather(options: Options) -> Events:
    """The events of this demo."""
    folder = settings().places.at("files")
    if options.events is not None:
        declared = load_pipeline(options.pipeline)
        return own(options.pipeline, declared, options.events, options.live_days, folder)
    world = World(seed=options.seed, customers=options.customers, days=options.days, terminals=2 * options.customers)
    wrong = Injections.none() if options.quiet else Injections.demo(options.days, options.live_days)
    if wrong.schema_break is not None:
        # the last day of history is a delivery of its own, so that the gate stops it alone
        wrong = replace(wrong, schema_break=replace(wrong.schema_break, day=options.days - options.live_days - 1))
    return simulated(world, options.live_days, wrong, folder)
