"""report.html: the run as a page that a person enjoys; one file, no network, light or dark as the reader has it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from sluice.clock import from_datetime
from sluice.declare.pipeline import Pipeline
from sluice.lake.tables import Lake
from sluice.monitor.report.events import accounted, closes
from sluice.monitor.report.markup import Markup, joined, tag
from sluice.monitor.report.outcome import outcome
from sluice.monitor.report.sections import answers, arrival, making, watching
from sluice.monitor.report.sections.section import Run, Section
from sluice.monitor.report.wording import NONE, elapsed, memory, milliseconds
from sluice.wording import counted

_SECTIONS = (
    arrival.events,
    arrival.gates,
    answers.freshness,
    answers.scores,
    watching.drift,
    watching.quality,
    watching.decisions,
    answers.serving,
    answers.audit,
    making.models,
    making.touched,
    making.steps,
)


def write_page(lake: Lake, pipeline: Pipeline, figures: Mapping[str, Any], path: Path) -> Path:
    """Write the page, whole or not at all; `figures` are those of `sluice.monitor.report.figures`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.fresh")
    fresh.write_text(page(lake, pipeline, figures), encoding="utf-8")
    fresh.replace(path)
    return path


def page(lake: Lake, pipeline: Pipeline, figures: Mapping[str, Any]) -> str:
    """The whole page as HTML."""
    run = Run(lake, pipeline, figures, _instant(figures["at"]))
    sections = [make(run) for make in _SECTIONS]
    title = f"Sluice: {figures['pipeline']}, {figures['at'][:10]}"
    style = Markup(files("sluice.monitor.report").joinpath("page.css").read_text(encoding="utf-8"))
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        tag("title", title),
        tag("style", style),
    )
    content = tag("main", *(section.shown() for section in sections))
    body = tag("body", _header(figures), _contents(sections), content, _footer(figures))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _header(figures: Mapping[str, Any]) -> Markup:
    found = outcome(figures)
    pipeline = tag("strong", figures["pipeline"])
    name = tag("p", "Sluice · pipeline ", pipeline, f" · event time {figures['at']}", class_="quiet")
    sentence = tag("h1", found.sentence, class_="sound" if found.sound else "broken")
    sums = tag("div", *map(_sum, figures["events"]), class_="sums")
    return tag("header", name, sentence, sums, tag("dl", *_tiles(figures), class_="tiles"))


def _sum(event: Mapping[str, Any]) -> Markup:
    """One stream's closing sum on one line."""
    mark, sign, look = ("✓", "=", "good") if closes(event) else ("✗", "≠", "bad")
    told = f" {event['stream']}: {event['produced']:,} produced {sign} {accounted(event):,} accounted for"
    return tag("p", tag("span", mark, class_=look, aria_hidden="true"), told)


def _tiles(figures: Mapping[str, Any]) -> list[Markup]:
    serving, audit, fresh = figures["serving"], figures["audit"], figures["freshness"]
    alarms = sum(row["alarm"] for row in figures["drift"])
    moves = figures["promotions"]
    taken = sum(row["move"] == "promote" and row["from"] is not None for row in moves)
    back = sum(row["move"] == "rollback" for row in moves)
    tiles = {
        "requests": (f"{serving['requests']:,}", f"{serving['failed']:,} failed"),
        "half answered within": _latency(serving),
        "vectors audited": (f"{audit['checked']:,}", f"{audit['mismatched']:,} differ"),
        "half fresh within": _latency(fresh),
        "vectors of history": (f"{figures['vectors']:,}", f"{counted(len(figures['models']), 'model')} registered"),
        "drift alarms": (f"{alarms:,}", f"{len(figures['decisions']):,} decisions"),
        "challengers promoted": (f"{taken:,}", f"{back:,} rolled back"),
        "the run took": (elapsed(figures["seconds"]), f"{memory(figures['peak_mb'])} at the peak"),
    }
    return [_tile(name, main, rest) for name, (main, rest) in tiles.items()]


def _tile(name: str, main: str, rest: str) -> Markup:
    return tag("div", tag("dt", name), tag("dd", tag("b", main), tag("span", rest)))


def _latency(found: Mapping[str, Any]) -> tuple[str, str]:
    if found["p50_ms"] is None:
        return NONE, "not measured"
    return milliseconds(found["p50_ms"]), f"99 % within {milliseconds(found['p99_ms'])}"


def _contents(sections: Sequence[Section]) -> Markup:
    links = [tag("a", section.anchor.capitalize(), href=f"#{section.anchor}") for section in sections]
    return tag("nav", joined(links), aria_label="Sections")


def _footer(figures: Mapping[str, Any]) -> Markup:
    told = "Every figure is read back from the lake, the broker or MLflow; report.json beside this page has them all."
    return tag("footer", tag("p", f"{told} Times are event times in UTC, up to {figures['at']}."))


def _instant(text: str) -> int:
    return from_datetime(dt.datetime.fromisoformat(text))
