"""What callers got: how fresh the features were, the scores, the service, and the audit of its vectors."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.lake.tables import Lake
from sluice.monitor.report.markup import Markup, table, tag
from sluice.monitor.report.plots.latency import latency_plot
from sluice.monitor.report.plots.scores import score_plot
from sluice.monitor.report.readings import numbers, refused_requests
from sluice.monitor.report.sections.section import Run, Section
from sluice.monitor.report.sections.stale import staleness_shown
from sluice.monitor.report.wording import milliseconds, minute, segment_name, share
from sluice.monitor.staleness import staleness_in
from sluice.wording import counted


def freshness(run: Run) -> Section:
    """How soon an event is in the features."""
    latencies, found = numbers(run.lake, "freshness", "latency_us"), run.figures["freshness"]
    if not len(latencies):
        return Section("freshness", "Feature freshness", "Nothing was streamed, so no freshness was measured.")
    lead = (
        f"Half of the events were in the features {milliseconds(found['p50_ms'])} after they were produced, "
        f"99 in a hundred after {milliseconds(found['p99_ms'])}."
    )
    axis = "from the produce call to the first read that includes the event"
    plot = latency_plot("freshness", latencies, noun="event", axis=axis)
    return Section("freshness", "Feature freshness", lead, (plot.shown("One event in twenty is timed."),))


def scores(run: Run) -> Section:
    """How the answered scores are spread in each segment."""
    answers = _answers(run.lake)
    if not len(answers):
        return Section("scores", "Scores by segment", "Nothing was scored.")
    segments = run.ordered(pc.unique(answers.column("segment")).to_pylist())
    values = {name: _of(answers, name).column("score").to_numpy() for name in segments}
    lead = f"{counted(len(answers), 'score')} were given in {counted(len(segments), 'segment')}; shadows are left out."
    rows = [_score_row(name, _of(answers, name)) for name in segments]
    header = ["segment", "scores", "decisions", "median", "answered by a challenger", "degraded"]
    counts = table(header, rows, caption="Answers by segment", words=(0, 2))
    return Section("scores", "Scores by segment", lead, (score_plot(values).shown("Scores as answered."), counts))


def serving(run: Run) -> Section:
    """What the callers saw of the service."""
    found, latencies = run.figures["serving"], _served_latencies(run.lake)
    refused = refused_requests(run.lake)
    if not found["requests"] and not refused:
        return Section("serving", "Serving latency", "No request was made.")
    lead = f"{found['failed']:,} of {counted(found['requests'], 'request')} failed"
    lead += f"; half were answered within {milliseconds(found['p50_ms'])}" if len(latencies) else ""
    lead += (
        f". {counted(refused, 'request')} with input that breaks a rule got a 422 that says which" if refused else ""
    )
    if not len(latencies):
        return Section("serving", "Serving latency", f"{lead}.")
    plot = latency_plot("serving", latencies, noun="request", axis="latency as the caller measured it")
    return Section("serving", "Serving latency", f"{lead}.", (plot.shown("Requests that were served."),))


def audit(run: Run) -> Section:
    """Whether served vectors are what raw events give, and what they could not know."""
    found = run.figures["audit"]
    if not found["checked"]:
        return Section("audit", "Audit", "No served vector was audited.")
    told = f"{counted(found['checked'], 'served vector')} computed again from raw events, as of what each could know"
    lead = f"{told}; {found['mismatched'] or 'none'} of them differed in any bit."
    return Section("audit", "Audit", lead, (*_mismatches(run.lake), *staleness_shown(staleness_in(run.lake))))


def _answers(lake: Lake) -> pa.Table:
    columns = ["segment", "role", "score", "decision", "degraded"]
    if lake.open("predictions") is None:
        return pa.table({name: [] for name in columns})
    return lake.read("predictions", columns=columns, where=ds.field("role") != "shadow")


def _of(answers: pa.Table, segment: str) -> pa.Table:
    return answers.filter(pc.equal(answers.column("segment"), segment))


def _score_row(segment: str, answers: pa.Table) -> list[object]:
    made = pc.value_counts(answers.column("decision")).to_pylist()
    decisions = sorted(((row["values"], row["counts"]) for row in made), key=lambda pair: -pair[1])
    total = len(answers)
    return [
        segment_name(segment),
        f"{total:,}",
        ", ".join(f"{name} {share(count / total)}" for name, count in decisions),
        f"{float(np.median(answers.column('score').to_numpy())):.2g}",
        share((pc.sum(pc.equal(answers.column("role"), "canary")).as_py() or 0) / total),
        f"{pc.sum(answers.column('degraded')).as_py() or 0:,}",
    ]


def _served_latencies(lake: Lake) -> np.ndarray:
    status = numbers(lake, "requests", "status")
    served: np.ndarray = numbers(lake, "requests", "latency_us")[(status >= 200) & (status < 300)]
    return served


def _mismatches(lake: Lake) -> list[Markup]:
    """The first vectors that differ, with the features that do."""
    wrong = lake.rows("audits", where=~ds.field("equal"))[:20]
    if not wrong:
        return []
    rows = [
        [row["event_id"], minute(row["event_time"]), tag("code", name), *pair]
        for row in wrong
        for name, pair in json.loads(row["features"]).items()
    ]
    header = ["event", "event time", "feature", "served", "computed from raw events"]
    return [table(header, rows, caption="Vectors that differ (the first twenty)", words=(0, 1, 2))]
