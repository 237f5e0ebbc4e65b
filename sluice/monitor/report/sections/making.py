"""What was made and what it took: models, and steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sluice.lake.moved import COUNTS, Move, most_moved
from sluice.monitor.report.markup import Markup, table, tag
from sluice.monitor.report.rollout import CHAMPION, Span, spans
from sluice.monitor.report.sections.section import Run, Section
from sluice.monitor.report.wording import MEASURES, elapsed, measure, memory, segment_name, version_name
from sluice.wording import counted


def models(run: Run) -> Section:
    """Every registered version, and what became of it."""
    made = run.by_segment(sorted(run.figures["models"], key=lambda row: row["version"]))
    if not made:
        return Section("models", "Models", "No model was registered.")
    last = {(span.segment, version_name(span.model)): span for span in spans(run.lake.rows("promotions"), run.at)}
    rows = [_model_row(row, last.get((row["segment"], f"v{row['version']}"))) for row in made]
    serving = sum(_serves(span) for span in last.values())
    lead = f"{counted(len(made), 'version')} registered, {serving:,} serving now. Quality is that on held-out days."
    header = ["segment", "version", *MEASURES, "became"]
    shown = table(header, rows, caption="Registered versions", words=(0, len(header) - 1))
    return Section("models", "Models", lead, (shown,))


def touched(run: Run) -> Section:
    """What late, corrected and restated events changed, and which models had learned from it."""
    found: Sequence[Mapping[str, Any]] = run.figures["touched"]
    if not found:
        return Section("repairs", "Repairs", "No day was computed again.")
    models = [row for row in found if row["model"] is not None]
    vectors = sum(row["changed"] + row["added"] + row["gone"] for row in found if row["model"] is None)
    labelled = sum(row["labelled"] for row in found if row["model"] is None)
    lead = (
        f"Late, corrected and restated events changed {vectors:,} vectors of days before; "
        f"{counted(len(models), 'model')} had learned from some of them. "
        f"{counted(labelled, 'label')} became known since, which changes none."
    )
    rows = [
        [
            "vectors" if row["model"] is None else row["model"],
            segment_name(row["segment"]),
            *(f"{row[name]:,}" for name in COUNTS),
            most_moved({name: Move(**move) for name, move in row["columns"].items()}),
        ]
        for row in found
    ]
    header = ["of", "segment", *COUNTS, "most moved"]
    shown = table(header, rows, caption="What repairs touched", words=(0, 1, len(header) - 1))
    return Section("repairs", "Repairs", lead, (shown,))


def steps(run: Run) -> Section:
    """How long each step took and how much memory it needed."""
    taken: Sequence[Mapping[str, Any]] = run.figures["steps"]
    if not taken:
        return Section("steps", "Steps", "No step was timed.")
    longest = max(step["seconds"] for step in taken) or 1.0
    rows = [
        [step["name"], _bar(step["seconds"] / longest), elapsed(step["seconds"]), memory(step["peak_mb"])]
        for step in taken
    ]
    whole, peak = elapsed(run.figures["seconds"]), memory(run.figures["peak_mb"])
    lead = f"The run took {whole} and held {peak} of memory at its peak."
    shown = table(["step", "", "time", "peak memory"], rows, caption="Steps of the run", words=(0, 1))
    return Section("steps", "Steps", lead, (shown,))


def _model_row(row: Mapping[str, Any], last: Span | None) -> list[object]:
    measures = [measure(row[name]) for name in MEASURES.values()]
    return [segment_name(row["segment"]), f"v{row['version']}", *measures, _fate(last)]


def _serves(span: Span) -> bool:
    return span.stage == CHAMPION and span.ended is None


def _fate(last: Span | None) -> object:
    """What became of a version, by the last part that it played."""
    if last is None:
        return "not tried"
    if last.ended == "rollback":
        return tag("span", "rolled back", class_="bad")
    if _serves(last):
        return tag("span", "champion", class_="good")
    return "replaced" if last.stage == CHAMPION else last.stage


def _bar(part: float) -> Markup:
    return tag("span", tag("span", style=f"width:{100 * part:.1f}%"), class_="bar", aria_hidden="true")
