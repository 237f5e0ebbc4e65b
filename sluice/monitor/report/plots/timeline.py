"""Decisions and the rollout on one time line: in each segment what served, what was tried, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.declare.durations import DAY
from sluice.monitor.report.plots.canvas import BAD, GOOD, INK, MUTED, SERIES, WARN, Plot, dated, day_at, plot
from sluice.monitor.report.rollout import CHALLENGER, CHAMPION, Span
from sluice.monitor.report.wording import segment_name, version_name
from sluice.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

LANES = {CHAMPION: 2.0, CHALLENGER: 1.0, "decisions": 0.0}
_MARKS = {
    "retrain": ("^", SERIES[0], 52),
    "roll_back": ("v", BAD, 52),
    "alert": ("D", WARN, 34),
    "investigate": ("s", WARN, 34),
    "hold": ("o", MUTED, 9),
}
_THICK = 0.62
_INSIDE = 590.0
"""Points that the whole time is wide."""
_LETTER = 5.4
"""Points that a letter is wide."""


def timeline_plot(
    segments: Sequence[str], spans: Sequence[Span], decisions: Sequence[Mapping[str, Any]], until: int
) -> Plot:
    """A panel of three lanes for each segment: champion, challenger, decisions."""
    first = min([*(span.start for span in spans), *(row["at"] for row in decisions)])
    whole = max(until - first, DAY)

    def draw(axes: list[Axes]) -> None:
        for panel, segment in zip(axes, segments, strict=True):
            for span in (span for span in spans if span.segment == segment):
                _draw_span(panel, span, whole)
            _draw_decisions(panel, [row for row in decisions if row["segment"] == segment])
            _finish(panel, segment)
        axes[-1].set_xlim(day_at(first - whole // 60), day_at(first + whole + whole // 60))
        dated(axes[-1])
        _legend(axes[0])

    told = "Time line of models and decisions. " + " ".join(_told(name, spans, decisions) for name in segments)
    return plot("timeline", told, draw, rows=len(segments), height=1.3)


def _draw_span(panel: Axes, span: Span, whole: int) -> None:
    start, end = day_at(span.start), day_at(span.end)
    lane = LANES[span.lane]
    face = {"champion": SERIES[0], "canary": SERIES[1], "shadow": "none"}[span.stage]
    edge = SERIES[0] if span.stage == CHAMPION else SERIES[1]
    shape: dict[str, Any] = {"y": lane, "width": end - start, "left": start, "height": _THICK}
    panel.barh(**shape, color=face, alpha=0.3, edgecolor="none")
    panel.barh(**shape, color="none", edgecolor=edge, linestyle="--" if span.stage == "shadow" else "-")
    panel.annotate(
        _label(span, _INSIDE * (span.end - span.start) / whole),
        (start, lane),
        xytext=(3, -0.5),
        textcoords="offset points",
        va="center",
        fontsize=8.5,
    )
    if span.ended == "rollback":
        panel.scatter([end], [lane], marker="X", color=BAD, s=62, zorder=4)
    elif span.ended == "promote" and span.lane == CHALLENGER:
        panel.annotate(
            "",
            (end, LANES[CHAMPION] - _THICK / 2),
            xytext=(end, lane + _THICK / 2),
            arrowprops={"arrowstyle": "-|>", "color": GOOD, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0},
        )


def _label(span: Span, points: float) -> str:
    """As much of version and share as fits in a span of so many points."""
    version = version_name(span.model)
    wanted = [version] if span.share is None else [f"{version} {100 * span.share:.0f} %", f"{100 * span.share:.0f} %"]
    room = points - 3 - (6 if span.ended == "rollback" else 0)
    return next((text for text in wanted if _LETTER * len(text) <= room), "")


def _draw_decisions(panel: Axes, decisions: Sequence[Mapping[str, Any]]) -> None:
    for action, (marker, colour, size) in _MARKS.items():
        times = [day_at(row["at"]) for row in decisions if row["action"] == action]
        panel.scatter(times, [LANES["decisions"]] * len(times), marker=marker, color=colour, s=size, zorder=3)


def _finish(panel: Axes, segment: str) -> None:
    panel.set_title(segment_name(segment))
    panel.set_yticks(list(LANES.values()), list(LANES))
    panel.set_ylim(-0.5, 2.5)
    panel.grid(visible=False)
    panel.spines["left"].set_visible(False)


def _legend(panel: Axes) -> None:
    from matplotlib.patches import Patch

    marks = [_sign(marker, colour, size**0.5) for marker, colour, size in _MARKS.values()]
    spans = [
        Patch(facecolor="none", edgecolor=SERIES[1], linestyle="--"),
        Patch(facecolor="none", edgecolor=SERIES[1]),
        _sign(r"$\uparrow$", GOOD, 8),
        _sign("X", BAD, 8),
    ]
    words = ["shadow", "canary", "takes over", "rolled back", *(name.replace("_", " ") for name in _MARKS)]
    panel.legend(
        [*spans, *marks],
        words,
        loc="lower right",
        bbox_to_anchor=(1, 1.02),
        ncols=len(words),
        borderaxespad=0,
        columnspacing=1.1,
        handletextpad=0.35,
        handlelength=1.5,
        labelcolor=INK,
    )


def _sign(marker: str, colour: str, size: float) -> Line2D:
    """A mark as a legend shows it."""
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], marker=marker, linestyle="none", markerfacecolor=colour, markeredgecolor=colour, markersize=size
    )


def _told(segment: str, spans: Sequence[Span], decisions: Sequence[Mapping[str, Any]]) -> str:
    mine = [span for span in spans if span.segment == segment]
    champions = [version_name(span.model) for span in mine if span.stage == CHAMPION]
    back = [version_name(span.model) for span in mine if span.ended == "rollback"]
    made = [row["action"] for row in decisions if row["segment"] == segment]
    parts = [
        f"champions {', then '.join(champions)}" if champions else "no champion",
        f"rolled back {', '.join(back)}" if back else "nothing rolled back",
        f"{counted(len(made), 'decision')}, {sum(action != 'hold' for action in made):,} of them not to hold",
    ]
    return f"{segment_name(segment)}: {'; '.join(parts)}."
