"""The chapters of the demo: each calls what the command line and the schedules call, and says what came of it."""

from __future__ import annotations

from flows.attempt import Attempt, attempt
from flows.deployed import deploy_flows, pause_schedules
from flows.features import features
from flows.ingest import ingest
from flows.place import place
from flows.rollout import rollout
from flows.train import train
from sluice.cli.demo.clock import clock
from sluice.cli.demo.events import Delivery, Events
from sluice.cli.demo.teller import Teller
from sluice.clock import rfc3339
from sluice.lake.accounts import Accounts, accounts
from sluice.local import services
from sluice.stream.topics import create_topics


def start_services(teller: Teller, pipeline: str) -> None:
    """Start what is not running."""
    for each in services.up():
        teller.say(f"{each.name:8} {each.action:13} {each.address}")
    teller.say(f"deployed: {', '.join(deploy_flows(pipeline))}")
    standing = pause_schedules(place(pipeline).pipeline.name)
    teller.say(f"schedules of {', '.join(standing)} stand still: the demo moves the clock itself")


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


def train_models(teller: Teller, pipeline: str, events: Events) -> None:
    """The first models, for every segment and for all."""
    for name in train(pipeline, at=events.start):
        teller.say(name)


def roll_out(teller: Teller, pipeline: str, at: int) -> None:
    """One step of every rollout."""
    for move in rollout(pipeline, at=at):
        teller.say(move)
