"""How good each segment's champion was: measured once labels were mature, estimated before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.monitor.report.plots.canvas import BAD, INK, MUTED, SERIES, Plot, dated, day_at, day_of, mark, plot
from sluice.monitor.report.plots.drift import by_segment
from sluice.monitor.report.wording import measure, segment_name, version_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = Mapping[str, Any]
_LINES = {"measured": ("-", SERIES[0]), "estimated": ((0, (3, 2)), SERIES[1])}


def quality_plot(rows: Iterable[Row], metric: str, promotions: Sequence[Row], decisions: Sequence[Row]) -> Plot:
    """A panel for each segment: the metric as measured and as estimated, with retrains and moves of models.

    `rows` are of the table `performance`, of which at least one has the metric.
    """
    segments = by_segment(row for row in rows if row[metric] is not None and row["kind"] in _LINES)

    def draw(axes: list[Axes]) -> None:
        for panel, (segment, mine) in zip(axes, segments.items(), strict=True):
            _draw_segment(panel, segment, mine, metric)
            _mark_moves(panel, [row for row in promotions if row["segment"] == segment])
            _mark_retrains(panel, [row for row in decisions if row["segment"] == segment])
        dated(axes[-1])
        axes[0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, borderaxespad=0)

    told = f"{spoken(metric)} over days. " + " ".join(_told(name, mine, metric) for name, mine in segments.items())
    return plot("quality", told, draw, rows=len(segments), height=1.9)


def newest(rows: Iterable[Row], metric: str, kind: str, model: str) -> list[tuple[dt.date, float]]:
    """The metric of one model by day, each day as it was told last."""
    mine = sorted((row for row in rows if (row["kind"], row["model"]) == (kind, model)), key=lambda row: row["at"])
    return sorted({row["day"]: row[metric] for row in mine}.items())


def spoken(metric: str) -> str:
    """A metric's name in words."""
    return {"auc": "AUC", "card_precision_at_100": "Card precision@100"}.get(
        metric, metric.replace("_", " ").capitalize()
    )


def _draw_segment(panel: Axes, segment: str, rows: Sequence[Row], metric: str) -> None:
    for kind, (style, colour) in _LINES.items():
        label: str | None = kind
        for model in sorted({row["model"] for row in rows}):
            series = newest(rows, metric, kind, model)
            if series:
                days, values = [day_of(day) for day, _ in series], [value for _, value in series]
                panel.plot(days, values, color=colour, linestyle=style, marker="o", markersize=3.5, label=label)
                label = None
    panel.set_title(segment_name(segment))
    panel.set_ylabel(spoken(metric).lower() if metric != "auc" else "AUC")
    panel.set_ylim(0, 1)


def _mark_moves(panel: Axes, moves: Sequence[Row]) -> None:
    """Who took over and who was rolled back, each a line lower than the one before so that words do not meet."""
    told = [row for row in moves if row["move"] == "rollback" or (row["move"] == "promote" and row["from"])]
    for place, row in enumerate(sorted(told, key=lambda row: row["sequence"])):
        if row["move"] == "promote":
            words, colour = f"{version_name(row['to'])} takes over", INK
        else:
            words, colour = f"{version_name(row['from'] or '')} rolled back", BAD
        mark(panel, day_at(row["at"]), words, colour=colour, line=place % 3)


def _mark_retrains(panel: Axes, decisions: Sequence[Row]) -> None:
    times = [day_at(row["at"]) for row in decisions if row["action"] == "retrain"]
    panel.scatter(times, [0.03] * len(times), marker="^", color=MUTED, s=36, zorder=3, label="retrain decided")


def _told(segment: str, rows: Sequence[Row], metric: str) -> str:
    parts = []
    for kind in _LINES:
        found = sorted((row for row in rows if row["kind"] == kind), key=lambda row: (row["day"], row["at"]))
        if found:
            parts.append(f"{kind} {measure(found[0][metric])} at first and {measure(found[-1][metric])} at last")
    return f"{segment_name(segment)}: {', '.join(parts)}."
