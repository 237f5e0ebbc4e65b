"""Ingest: files or archived events → bronze → contract → gates → silver, quarantine, conflicts and late.

    spark-submit spark_jobs/ingest.py --pipeline fraud --lake URI --batch 2026-w01 --at 1767225600000000 \
        --file transactions=/in/a.parquet --file chargebacks=/in/b.parquet
    spark-submit spark_jobs/ingest.py … --from-bronze             what the archive has written since the last batch
    spark-submit spark_jobs/ingest.py … --rename transactions:amount=total        a batch that was stopped, repaired
    spark-submit spark_jobs/ingest.py … --restates 2026-01-05     the files are the whole truth about that day
    spark-submit spark_jobs/ingest.py … --replay NAME             refused rows that `sluice quarantine replay` took up

A batch stands for one delivery of each stream. Running it again completes what a crash left, and adds nothing twice.
What a person lets through a gate is granted by `sluice gates waive`, and the batch is ingested again.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence

from sluice.decisions import Finding, Verdict, worst
from sluice.declare.loading import load_pipeline
from sluice.declare.operate import Gates
from sluice.declare.streams import Stream
from sluice.errors import GateStopped, UserError
from sluice.lake.bronze import land_files
from sluice.lake.days import days
from sluice.lake.delivery import Delivery, named_file, renamed_in
from sluice.lake.forgetting.erasures import forgotten, refuse_later
from sluice.lake.forgetting.landed import empty_landed
from sluice.lake.gates.evidence import BatchEvidence
from sluice.lake.gates.usual import usual
from sluice.lake.gates.verdict import judge
from sluice.lake.judging import judged
from sluice.lake.keeping.compaction import pack_books
from sluice.lake.lineage.runs import ingested, told_run
from sluice.lake.publish import hold, publish, record_verdict, recover
from sluice.lake.registry import registry_at
from sluice.lake.replays import batch_of, finish, land, landed_at, replay_of
from sluice.lake.schemas import Registry
from sluice.lake.waivers import holding, waive
from sluice.lake.within import between
from sluice.lake.workers import Workers
from sluice.settings import settings
from sluice.wording import command
from spark_jobs import arguments
from spark_jobs.arguments import run
from spark_jobs.workers import spark_workers


def ingest(workers: Workers, delivery: Delivery, registry: Registry | None = None) -> None:
    """Ingest a delivery; GateStopped when a gate stopped one of its streams (the others are published).

    `registry` has the schemas that archived messages name and the lake does not; while it is away nothing is judged.

    A stopped batch of files has not arrived: none of its rows is history. Events of topics are history whatever the
    gates say: there a stop is an incident, and what is derived from them waits.
    """
    delivery.check()
    delivery = dataclasses.replace(delivery, forgotten=forgotten(delivery.tables()))
    streams = delivery.declared().streams
    _refuse_held(delivery, [stream.name for stream in streams])
    empty_landed(delivery)
    landed = land_files(workers, delivery) if delivery.replay is None else _land_replay(delivery)
    found = {
        stream.name: ingest_stream(workers, stream, delivery, landed=stream.name in landed, registry=registry)
        for stream in streams
    }
    _refuse_unknown(delivery, found)
    pack_books(delivery.tables())
    stops = [
        f"{name}: {finding.rule}: {finding.message}"
        for name, findings in found.items()
        for finding in findings
        if finding.verdict is Verdict.STOP
    ]
    if stops:
        raise _stopped(delivery, stops)
    if delivery.replay is not None:
        replay = replay_of(delivery.tables(), delivery.replay)
        finish(delivery.tables(), replay, landed_at(replay))


def ingest_stream(
    workers: Workers, stream: Stream, delivery: Delivery, *, landed: bool = False, registry: Registry | None = None
) -> list[Finding]:
    """Bring one stream's share of a delivery through the contract and the gates; its findings, none for no rows.

    With `landed`, no rows is a finding too: there was a file, and it was empty.
    """
    lake, gates = delivery.tables(), delivery.declared().gates
    turn = recover(lake, stream.name)
    if lake.shows(stream.name, delivery.batch):
        return []
    with judged(workers, stream, delivery, registry) as found:
        if not found.batch.rows and not landed:
            return []
        asked = _asked(gates, delivery, found.evidence)
        held = holding(lake, stream.name, delivery.batch, delivery.at)
        before = usual(lake, stream.name)
        findings = waive(judge(stream, asked, found.evidence, before, delivery.at), held)
        refuse_later(lake, delivery.forgotten.erasures, found.folders(lake))
        kept_back = worst(findings) is Verdict.STOP and not delivery.from_bronze
        if kept_back:
            hold(lake, found.batch, found.staged)
        record_verdict(lake, found.batch, findings)
        if not kept_back:
            publish(lake, found.batch, found.staged, turn=turn)
    return findings


def _asked(gates: Gates, delivery: Delivery, evidence: BatchEvidence) -> Gates:
    """What the gates ask of a delivery.

    Of topics no number of rows; of a replay nothing, as its rows are picked; of days that are restated neither a number
    of rows, as they may be several, nor that they are new.
    """
    if delivery.replay is not None:
        return Gates.off()
    if evidence.restated is not None:
        return dataclasses.replace(gates, min_rows=0, max_count_change=None, max_late=1, fresh=False)
    return dataclasses.replace(gates, min_rows=0, max_count_change=None) if delivery.from_bronze else gates


def _land_replay(delivery: Delivery) -> set[str]:
    replay = replay_of(delivery.tables(), str(delivery.replay))
    land(delivery.tables(), replay, delivery.contract(replay.stream), delivery.forgotten)
    return {replay.stream}


def _refuse_held(delivery: Delivery, streams: Sequence[str]) -> None:
    """UserError for archived events under the name of a batch of files, which would then never be judged."""
    lake, named = delivery.tables(), between(batch=(delivery.batch, delivery.batch))
    if delivery.from_bronze and any(lake.count(f"events/{name}", within=named) for name in streams):
        raise UserError(
            f"{delivery.batch!r} is a batch of files",
            where="--batch",
            next_step="give the archived events another name",
        )


def _refuse_unknown(delivery: Delivery, found: Mapping[str, Sequence[Finding]]) -> None:
    """UserError for a batch that is to be ingested again and never was delivered."""
    again = not delivery.files and not delivery.from_bronze
    lake = delivery.tables()
    if again and not any(found.values()) and not any(lake.shows(name, delivery.batch) for name in found):
        held = {row["batch"] for row in lake.rows("verdicts")} - {row["batch"] for row in lake.published()}
        deliver = command("ingest", delivery.pipeline, "STREAM=FILE", "--batch", delivery.batch)
        raise UserError.unknown("batch", delivery.batch, held, where="--batch", next_step=f"deliver it: {deliver}")


def _stopped(delivery: Delivery, stops: Sequence[str]) -> GateStopped:
    if delivery.from_bronze:
        next_step = "the events are history all the same; see to their source before anything is derived from them"
    else:
        next_step = (
            "ingest it again once its cause is mended (--rename) or a person lets it pass (sluice gates waive), "
            "or deliver it mended as another batch"
        )
    return GateStopped("; ".join(stops), where=f"batch {delivery.batch!r}", next_step=next_step)


def _arguments() -> Delivery:
    parser = argparse.ArgumentParser(
        prog="ingest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--pipeline", required=True, type=arguments.pipeline, help="a registered name or the path of a .py file"
    )
    parser.add_argument("--lake", required=True, type=arguments.lake, help="path or URI of the lake")
    parser.add_argument("--batch", help="the delivery's name; a replay has its own")
    parser.add_argument(
        "--at", required=True, type=int, help="event clock in microseconds: freshness is measured from it"
    )
    parser.add_argument(
        "--file", action="append", default=[], metavar="STREAM=PATH", help="a file or a Delta table to land, repeatable"
    )
    parser.add_argument("--from-bronze", action="store_true", help="take what the archive wrote since the last batch")
    parser.add_argument("--restates", metavar="DAY", help="a day, or FIRST..LAST, that the files tell anew and whole")
    parser.add_argument("--replay", metavar="NAME", help="bring the rows of a replay back")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="STREAM:COLUMN=NAME", help="a column's name in this delivery"
    )
    given = parser.parse_args()
    streams = [stream.name for stream in load_pipeline(given.pipeline).streams]
    return Delivery(
        given.pipeline,
        given.lake,
        given.batch or (batch_of(given.replay) if given.replay else ""),
        given.at,
        files=[named_file(text, streams) for text in given.file],
        from_bronze=given.from_bronze,
        restates=days(given.restates, where="--restates") if given.restates else None,
        replay=given.replay,
        renamed=renamed_in(given.rename),
    )


def main() -> None:
    """Run the job from the command line."""
    delivery = _arguments()
    lake = delivery.tables()
    about = functools.partial(ingested, lake, delivery.batch)
    with spark_workers("ingest") as workers, told_run(lake.pipeline, "ingest", about, at=delivery.at):
        ingest(workers, delivery, registry_at(settings().schema_registry))


if __name__ == "__main__":
    run(main)
