"""Watch: bring history up to date, audit what was served, look for drift, measure quality, and decide."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow.dataset as ds
from prefect import flow, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.champions import Champion, champions, history_of
from flows.events import RETRAIN, tell
from flows.ingest import ingest, wait_for_archive
from flows.place import Place, moment, place
from sluice.decisions import Action, Decision
from sluice.declare.durations import DAY
from sluice.declare.pipeline import ALL
from sluice.declare.retraining import PerformanceRule
from sluice.errors import DataError
from sluice.lake.lineage.datasets import Run, tables_of
from sluice.lake.lineage.runs import told_run
from sluice.lake.tables import Lake
from sluice.monitor.audit import AUDITS, audit, audit_rows, served_rows
from sluice.monitor.audit import Audited as VectorAudit
from sluice.monitor.drift.checks import DriftRow
from sluice.monitor.drift.checks import watch as fit_watch
from sluice.monitor.evidence import Audited, gather
from sluice.monitor.performance import Scored, outlook_rows, performance_rows
from sluice.monitor.served import history_columns, labelled, score_column, served, served_columns
from sluice.monitor.staleness import CAUSES
from sluice.monitor.tables import DECISIONS, DRIFT, PERFORMANCE, decision_of, decision_row, drift_rows, stamped

ANNOUNCED = "announced"
"""Up to which moment decisions to retrain were emitted as events."""
REFERENCE = 30 * DAY
"""How much history before a champion took over its traffic is compared with."""


@flow(name="watch")
def watch(pipeline: str, at: int | None = None) -> list[str]:
    """Everything from the last watch to `at`: ingest, audit, drift, quality, decisions; `<segment>: <action>` of each.

    What has arrived since `at` is ingested too, and not looked at. A decision to retrain is emitted as the event
    `sluice.decision.retrain`, which starts the flow `retrain`; if this watch dies before it can, the next one emits it.
    A watch of a moment that was watched before, because it died, say, goes on where that one ended and decides nothing
    anew.
    """
    here, now = place(pipeline), moment(at)
    announce(here, now)
    since = last_watch(here.lake, now)
    wait_for_archive(pipeline)
    ingest(pipeline, at=now)
    with told_run(here.pipeline.name, "watch", lambda: about(here), at=now):
        audited = audit_served(pipeline, since, now)
        look_for_drift(pipeline, since, now)
        measure_quality(pipeline, now)
        decisions = decide(pipeline, audited, now)
    announce(here, now)
    return [f"{decision.segment}: {decision.action.value}" for decision in decisions]


def about(here: Place) -> Run:
    """What a watch has read and written."""
    streams = [f"events/{stream.name}" for stream in here.pipeline.streams]
    return Run(
        tables_of(here.lake, ["predictions", *streams]),
        tables_of(here.lake, ["audits", "drift", "performance", "decisions"]),
    )


def last_watch(lake: Lake, at: int) -> int:
    """The event time of the last watch before a moment; 0 before the first."""
    return max((row["at"] for row in lake.rows("decisions", where=ds.field("at") < at)), default=0)


def once(at: int) -> str:
    """What marks the rows of one watch, so that it leaves them once however often it is run."""
    return f"watch:{at}"


@task(name="audit served vectors")
def audit_served(pipeline: str, since: int, at: int) -> dict[str, int]:
    """Compute every vector served since the last watch again from bronze; DataError names the first that differ."""
    here = place(pipeline)
    asked = served_rows(served(here.lake, None, since, at).to_pylist())
    found = audit(here.lake, here.pipeline, asked)
    here.lake.append_rows("audits", audit_rows(found, at), AUDITS, once=once(at))
    wrong = [item for item in found if item.differences]
    text = f"{len(found):,} vectors computed again from bronze, {len(wrong):,} differ; {how_stale(found)}"
    if len(asked) > len(found):
        text += f"; {len(asked) - len(found):,} left out, as they had seen what is gone"
    listed = "".join(f"\n- {item.served.event_id}: {', '.join(item.differences)}" for item in wrong[:20])
    create_markdown_artifact(text + listed, key="audit")
    return {"checked": len(found), "mismatched": len(wrong)}


def how_stale(found: Sequence[VectorAudit]) -> str:
    """How many of the audited vectors did not know all there is by now, by each cause of theirs."""
    causes = Counter(cause for item in found for cause in item.causes)
    listed = ", ".join(f"{cause} {causes[cause]:,}" for cause in CAUSES)
    return f"{sum(bool(item.stale) for item in found):,} did not know all there is by now ({listed})"


@task(name="look for drift")
def look_for_drift(pipeline: str, since: int, at: int) -> int:
    """Compare what each champion was asked since the last watch with its reference; the number of alarms."""
    here = place(pipeline)
    rule = here.pipeline.retraining.drift
    rows: list[DriftRow] = []
    for champion in champions(here):
        asked = served(here.lake, champion.segment, since, at)
        if rule is None or champion.segment == ALL != here.pipeline.segments[0] or len(asked) == 0:
            continue
        earlier = (ds.field("segment") == champion.segment) & (ds.field("at") < at)
        before = drift_rows(here.lake.rows("drift", where=earlier))
        columns, scores = reference_of(here, champion)
        fitted = fit_watch(
            champion.segment,
            columns,
            scores,
            rule=rule,
            reference=champion.model,
            engine=here.settings.engines.detector,
        )
        rows += fitted.check(*served_columns(here.pipeline, asked), history=before)
    here.lake.append_rows("drift", stamped(rows, at), DRIFT, once=once(at))
    show([asdict(row) for row in rows if row.alarm], "drift", "Columns whose drift has persisted")
    return sum(row.alarm for row in rows)


@task(name="measure quality")
def measure_quality(pipeline: str, at: int) -> None:
    """Measure every champion on the labels that are mature, and estimate it on those that are not."""
    here = place(pipeline)
    rows = []
    for champion in champions(here):
        mature, newest = answered(here, champion, at)
        rows += [*performance_rows(champion.segment, champion.model, mature)]
        rows += [*outlook_rows(champion.segment, champion.model, newest)]
    here.lake.append_rows("performance", stamped(rows, at), PERFORMANCE, once=once(at))
    show([asdict(row) for row in rows], "quality", "Quality of the champions")


@task(name="decide")
def decide(pipeline: str, audited: dict[str, int], at: int) -> list[Decision]:
    """One decision for each segment, also when it is to hold; each is a row of `decisions`, once for a moment."""
    here = place(pipeline)
    if taken := here.lake.rows("decisions", where=ds.field("at") == at):
        return [decision_of(row) for row in taken]
    policy = here.pipeline.retraining
    decisions = []
    for champion in champions(here):
        mature, newest = answered(here, champion, at)
        drift = drift_rows(here.lake.rows("drift", where=ds.field("segment") == champion.segment))
        evidence = gather(
            champion.segment,
            policy,
            history_of(here, champion, at),
            drift=[row for row in drift if row.reference == champion.model],
            held_out=champion.held_out(),
            mature=mature,
            newest=newest,
            audited=Audited(**audited),
        )
        decisions.append(policy.decide(evidence, at))
    here.lake.append_rows("decisions", map(decision_row, decisions), DECISIONS, once=once(at))
    rows = [{"segment": each.segment, "action": each.action.value, "reason": each.reason} for each in decisions]
    show(rows, "decisions", "What was decided, and why")
    return decisions


def answered(here: Place, champion: Champion, at: int) -> tuple[Scored, Scored]:
    """What a champion answered within the policy's window, with mature labels, and what is too new to have them."""
    rule = here.pipeline.retraining.performance or PerformanceRule()
    since = max(champion.promoted_at, at - here.pipeline.label.settled_after - int(rule.window))
    return labelled(here.lake, here.pipeline, served(here.lake, champion.segment, since, at), at)


def announce(here: Place, at: int) -> None:
    """Emit an event for every moment at which something was decided to be retrained and nobody was told.

    Those are this watch's, and those of one that died before it could. One that dies between an event and its mark
    leaves it to be emitted again, which `retrain` can bear.
    """
    for decided, segments in untold(here.lake):
        tell(here, RETRAIN, once(decided), {"segments": ",".join(segments), "at": at, "decided": decided})
        here.lake.append_reaching("decisions", DECISIONS.empty_table(), ANNOUNCED, decided)


def untold(lake: Lake) -> list[tuple[int, list[str]]]:
    """The decisions to retrain that were not announced, of each segment the newest: their moments, and the segments."""
    announced = lake.reached_by("decisions", ANNOUNCED) or 0
    rows = lake.rows("decisions", where=(ds.field("action") == Action.RETRAIN.value) & (ds.field("at") > announced))
    newest = {row["segment"]: row["at"] for row in sorted(rows, key=lambda row: row["at"])}
    moments = sorted(set(newest.values()))
    return [(moment, sorted(name for name, at in newest.items() if at == moment)) for moment in moments]


def reference_of(here: Place, champion: Champion) -> tuple[list[Any], list[Any]]:
    """The features of the champion's traffic before it took over, and its scores of them."""
    span = (ds.field("event_time") >= champion.promoted_at - REFERENCE) & (
        ds.field("event_time") < champion.promoted_at
    )
    mine = span if champion.segment == ALL else span & (ds.field("segment") == champion.segment)
    vectors = here.lake.read("vectors", where=mine)
    if len(vectors) == 0:
        raise DataError(
            f"no vectors to compare {champion.model} with", where="table vectors", next_step="run the flow `features`"
        )
    columns = history_columns(here.pipeline, vectors)
    return columns, [score_column(champion.scores(vectors), columns[0].days)]


def show(rows: Sequence[dict[str, Any]], key: str, description: str) -> None:
    """Put rows on the run's page, if there are any."""
    if rows:
        create_table_artifact(
            table=[{name: str(value) for name, value in row.items()} for row in rows], key=key, description=description
        )
