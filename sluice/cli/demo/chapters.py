"""The chapters of the demo: each calls what the command line and the schedules call, and says what came of it."""

from __future__ import annotations

from flows.attempt import Attempt, attempt
from flows.features import features
from flows.ingest import ingest
from flows.place import place
from flows.rollout import rollout
from flows.train import train
from flows.watch import watch
from sluice.cli.demo.payments import Delivery, Events
from sluice.cli.demo.teller import Teller
from sluice.clock import FileClock, open_clock, rfc3339
from sluice.engine.sqlite import open_store
from sluice.errors import Outage
from sluice.lake.accounts import Accounts, accounts
from sluice.local import services
from sluice.local.replay import Replay
from sluice.settings import settings
from sluice.stream.archive import wait_until_archived
from sluice.stream.producer import Producer
from sluice.stream.topics import create_topics


def start_services(teller: Teller) -> None:
    """Start what is not running."""
    for each in services.up():
        teller.say(f"{each.name:8} {each.action:13} {each.address}")


def describe(teller: Teller, pipeline: str, events: Events) -> None:
    """Say what is going to be delivered, and set the clock to the end of history."""
    here = place(pipeline)
    create_topics(here.settings.kafka, here.pipeline)
    files = sum(len(delivery.files) for delivery in events.deliveries)
    teller.say(f"{files} files of history up to {rfc3339(events.start)}, then {events.live_days} live days")
    clock().move_to(events.deliveries[0].at)


def ingest_history(teller: Teller, pipeline: str, events: Events) -> None:
    """Ingest every delivery; one that a gate stops is repaired and ingested again."""
    for delivery in events.deliveries:
        clock().move_to(delivery.at)
        tried = run_ingest(pipeline, delivery, {})
        if tried.failed:
            teller.say(f"[yellow]stopped[/] {delivery.batch}: {stopped_by(pipeline, delivery.batch)}")
            renamed = {stream: dict(columns) for stream, columns in delivery.renamed.items()}
            tried = run_ingest(pipeline, delivery, renamed) if renamed else tried
            if tried.error is not None:
                raise tried.error
            teller.say(f"[green]repaired[/] {delivery.batch}: {renamed}")
    clock().move_to(events.start)
    here = place(pipeline)
    for stream in here.pipeline.streams:
        teller.say(summary(stream.name, accounts(here.lake, stream.name)))


def summary(stream: str, found: Accounts) -> str:
    """Where every event of a stream went, in one line."""
    refused = ", ".join(f"{rule} {count:,}" for rule, count in sorted(found.quarantined.items())) or "none"
    return (
        f"{stream}: {found.silver:,} in silver, {found.duplicates:,} duplicates, {found.conflicts:,} conflicts, "
        f"{found.late:,} late, {found.held:,} held; refused: {refused}"
    )


def run_ingest(pipeline: str, delivery: Delivery, renamed: dict[str, dict[str, str]]) -> Attempt:
    """One run of the flow `ingest`."""
    files = [] if renamed else list(delivery.files)
    return attempt(ingest, pipeline=pipeline, batch=delivery.batch, files=files, renamed=renamed, at=delivery.at)


def stopped_by(pipeline: str, batch: str) -> str:
    """What stopped a batch, as its verdict says."""
    rows = place(pipeline).lake.rows("verdicts")
    return "; ".join(row["message"] for row in rows if row["batch"] == batch and row["verdict"] == "stop")


def compute_features(teller: Teller, pipeline: str, events: Events) -> None:
    """Vectors, tiles and the online store."""
    version = features(pipeline, at=events.start)
    here = place(pipeline)
    rows = here.lake.read("vectors", columns=["event_id"]).num_rows
    teller.say(
        f"{version}: {rows:,} vectors of {len(here.pipeline.features)} features, definition {here.pipeline.definition}"
    )


def clock() -> FileClock:
    """The event clock, which the demo moves by hand."""
    found = open_clock(settings().places.clock)
    if not isinstance(found, FileClock):
        raise Outage("a demo needs a clock that it can move", where="SLUICE_CLOCK", allowed="file:///path")
    return found


def train_models(teller: Teller, pipeline: str, events: Events) -> None:
    """The first models, for every segment and for all."""
    for name in train(pipeline, at=events.start):
        teller.say(name)


def roll_out(teller: Teller, pipeline: str, at: int) -> None:
    """One step of every rollout."""
    for move in rollout(pipeline, at=at):
        teller.say(move)


def replay_days(teller: Teller, pipeline: str, events: Events, first: int, until: int, share: float) -> None:
    """Live days: scored over HTTP, then produced to Kafka, and folded before the next."""
    here = place(pipeline)
    store = open_store(here.settings.places.online_uri, here.pipeline.name, read_only=True)
    try:
        with Producer(here.settings.kafka) as producer:
            url = here.settings.serve_url
            Replay(here.pipeline, here.lake, store, clock(), producer, url, share).run(events.live(first, until))
    finally:
        store.close()
    clock().move_to(events.day(until))
    asked = [row for row in here.lake.rows("requests") if row["at"] > events.day(first)]
    answered = sum(row["status"] == 200 for row in asked)
    teller.say(f"days {first} to {until}: {len(asked):,} requests, {answered:,} answered")


def watch_days(teller: Teller, pipeline: str, at: int) -> None:
    """Audit, drift, quality and a decision for every segment."""
    here = place(pipeline)
    wait_until_archived(here.pipeline, here.lake, here.settings.kafka)
    watch(pipeline, at=at)
    audits = [row for row in here.lake.rows("audits") if row["at"] == at]
    teller.say(f"audit: {len(audits):,} vectors, {sum(not row['equal'] for row in audits):,} differ")
    for row in here.lake.rows("decisions"):
        if row["at"] == at:
            teller.say(f"{row['segment']}: [bold]{row['action']}[/] — {row['reason']}")
