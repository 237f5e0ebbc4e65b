"""What was watched and what followed: drift, quality, decisions and the rollout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sluice.monitor.report.markup import Markup, folded, table, tag
from sluice.monitor.report.outcome import changed
from sluice.monitor.report.plots.drift import WORST, by_segment, drift_plot, times_threshold, worst_columns
from sluice.monitor.report.plots.quality import quality_plot, spoken
from sluice.monitor.report.plots.timeline import timeline_plot
from sluice.monitor.report.readings import moves
from sluice.monitor.report.rollout import spans
from sluice.monitor.report.sections.section import Run, Section
from sluice.monitor.report.wording import MEASURES, NONE, TIMES, measure, minute, segment_name, share
from sluice.wording import counted

Row = Mapping[str, Any]


def drift(run: Run) -> Section:
    """How far traffic moved from what the champions learnt."""
    rows: Sequence[Row] = run.by_segment(run.figures["drift"])
    if not rows:
        return Section("drift", "Drift over days", "No drift was looked for.")
    checks = len({(row["segment"], row["day"]) for row in rows})
    alarms = [row for row in rows if row["alarm"]]
    where = Counter(row["segment"] for row in alarms)
    told = ", ".join(f"{segment_name(name)} {count:,}" for name, count in where.items())
    lead = f"{counted(checks, 'check')}, each of one segment, raised {counted(len(alarms), 'alarm')}"
    lead += f": {told}." if told else "."
    caption = (
        f"Per segment the {WORST} features that came furthest past their thresholds, and the score. "
        "A filled dot is an alarm: past the threshold, and often enough in the last checks."
    )
    return Section("drift", "Drift over days", lead, (drift_plot(rows).shown(caption), _drift_table(rows)))


def quality(run: Run) -> Section:
    """How good the champions were."""
    metric = _metric(run)
    rows = [row for row in run.lake.rows("performance") if row[metric] is not None and row["kind"] != "gap"]
    if not rows:
        return Section("quality", "Quality over days", "No label was mature, so no quality was measured.")
    measured = sorted((row for row in rows if row["kind"] == "measured"), key=lambda row: (row["day"], row["at"]))
    last = {row["segment"]: row for row in measured}
    told = ", ".join(f"{segment_name(name)} {measure(last[name][metric])}" for name in run.ordered(last))
    known = f"as last measured: {told}" if told else "was estimated only: no label was mature"
    lead = f"{spoken(metric)} {known}."
    caption = "Measured on mature labels; estimated from the scores alone, as if they were calibrated, before."
    plot = quality_plot(run.by_segment(rows), metric, run.lake.rows("promotions"), run.lake.rows("decisions"))
    return Section("quality", "Quality over days", lead, (plot.shown(caption), _quality_table(rows)))


def decisions(run: Run) -> Section:
    """What was decided and rolled out, and when."""
    made, moved = run.lake.rows("decisions"), moves(run.lake)
    if not made and not moved:
        return Section("decisions", "Decisions and rollout", "Nothing was decided and no model was put in place.")
    counts = Counter(row["action"].replace("_", " ") for row in made)
    told = ", ".join(f"{action} {count:,}" for action, count in counts.most_common())
    lead = f"{counted(len(made), 'decision')}{f' ({told})' if told else ''}; {changed(run.figures)}."
    segments = run.ordered(row["segment"] for row in [*made, *moved])
    plot = timeline_plot(segments, spans(moved, run.at), made, run.at)
    caption = (
        "Each segment's champion, what was tried beside it, and every decision. "
        "A share is the canary's part of the cards."
    )
    return Section("decisions", "Decisions and rollout", lead, (plot.shown(caption), *_moves(moved), *_decisions(made)))


def _metric(run: Run) -> str:
    """What the pipeline's policy judges quality by."""
    rule = run.pipeline.retraining.performance
    return rule.metric if rule is not None else "average_precision"


def _drift_table(rows: Sequence[Row]) -> Markup:
    """The alarms, and the last check of each column that is drawn."""
    drawn = {(name, column) for name, mine in by_segment(rows).items() for column in (*worst_columns(mine), "score")}
    last = {(row["segment"], row["column"]): row for row in rows if (row["segment"], row["column"]) in drawn}
    shown = sorted(
        [*(row for row in rows if row["alarm"]), *(row for row in last.values() if not row["alarm"])],
        key=lambda row: (row["segment"], row["column"], str(row["day"])),
    )
    header = ["segment", "column", "detector", "day", "distance", "threshold", f"{TIMES} threshold", "alarm"]
    cells = [
        [
            segment_name(row["segment"]),
            row["column"],
            row["detector"],
            row["day"],
            measure(row["distance"]),
            measure(row["threshold"]),
            f"{times_threshold(row):.2f}",
            tag("span", "alarm", class_="bad") if row["alarm"] else NONE,
        ]
        for row in shown
    ]
    caption = "Every alarm, and the last check of the columns drawn"
    return folded(f"{caption} ({len(cells):,} rows)", table(header, cells, caption=caption, words=(0, 1, 2, 7)))


def _quality_table(rows: Sequence[Row]) -> Markup:
    header = ["segment", "day", "kind", "model", "rows", "positives", *MEASURES]
    cells = [
        [
            segment_name(row["segment"]),
            row["day"],
            row["kind"],
            row["model"],
            f"{row['rows']:,}",
            f"{row['positives']:,.0f}",
            *(measure(row[name]) for name in MEASURES.values()),
        ]
        for row in sorted(rows, key=lambda row: (row["segment"], row["day"], row["at"], row["kind"]))
    ]
    caption = "Quality, as measured and as estimated"
    return folded(f"{caption} ({len(cells):,} rows)", table(header, cells, caption=caption, words=(0, 2, 3)))


def _moves(moved: Sequence[Row]) -> list[Markup]:
    header = ["at", "segment", "move", "from", "to", "share", "reason"]
    rows = [
        [
            minute(row["at"]),
            segment_name(row["segment"]),
            tag("span", row["move"], class_="bad" if row["move"] == "rollback" else None),
            row["from"] or NONE,
            row["to"] or NONE,
            share(row["share"]) if row["move"] == "canary" else NONE,
            row["reason"],
        ]
        for row in moved
    ]
    return [table(header, rows, caption="Moves of models", words=(0, 1, 2, 3, 4, 6))] if rows else []


def _decisions(made: Sequence[Row]) -> list[Markup]:
    """What was decided, those to hold behind a click."""
    ordered = sorted(made, key=lambda row: (row["at"], row["segment"]))
    active = [row for row in ordered if row["action"] != "hold"]
    holds = [row for row in ordered if row["action"] == "hold"]
    parts = [_decision_table(active, "Decisions to do something")] if active else []
    caption = "Decisions to hold"
    return parts + ([folded(f"{caption} ({len(holds):,})", _decision_table(holds, caption))] if holds else [])


def _decision_table(rows: Sequence[Row], caption: str) -> Markup:
    cells = [
        [minute(row["at"]), segment_name(row["segment"]), row["action"].replace("_", " "), row["reason"]]
        for row in rows
    ]
    return table(["at", "segment", "action", "reason"], cells, caption=caption, words=(0, 1, 2, 3))
