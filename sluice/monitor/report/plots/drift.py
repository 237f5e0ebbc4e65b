"""How far each segment's traffic has moved from what its champion learnt, check by check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sluice.monitor.report.plots.canvas import BAD, INK, SERIES, Plot, dated, day_of, plot
from sluice.monitor.report.wording import TIMES, segment_name
from sluice.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORST = 3
"""How many features of a segment are drawn beside its score."""
Row = Mapping[str, Any]
_TINY = 1e-12


def by_segment(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each segment, in the order in which segments come."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["segment"], []).append(row)
    return found


def times_threshold(row: Row) -> float:
    """How many times its threshold a distance is: above 1 it is past it."""
    return float(row["distance"] / max(row["threshold"], _TINY))


def worst_columns(rows: Sequence[Row], most: int = WORST) -> list[str]:
    """The features of a segment that came furthest past their thresholds, worst first."""
    peak: dict[str, float] = {}
    for row in rows:
        if row["kind"] == "feature":
            peak[row["column"]] = max(peak.get(row["column"], 0.0), times_threshold(row))
    return sorted(peak, key=lambda column: (-peak[column], column))[:most]


def drift_plot(rows: Iterable[Row]) -> Plot:
    """A panel for each segment: its worst features and its score, as multiples of their thresholds."""
    segments = by_segment(rows)

    def draw(axes: list[Axes]) -> None:
        for panel, (segment, mine) in zip(axes, segments.items(), strict=True):
            _draw_segment(panel, segment, mine)
        dated(axes[-1])

    told = "Drift as a multiple of its threshold. " + " ".join(
        _told(segment, mine) for segment, mine in segments.items()
    )
    return plot("drift", told, draw, rows=len(segments), height=1.9)


def _draw_segment(panel: Axes, segment: str, rows: Sequence[Row]) -> None:
    panel.axhline(1, color=BAD, linewidth=1.1, linestyle=(0, (4, 3)), label="threshold")
    for place, column in enumerate(worst_columns(rows)):
        _line(panel, rows, ("feature", column), colour=SERIES[place], width=1.6, label=column)
    _line(panel, rows, ("score", "score"), colour=INK, width=2.2, label="score")
    panel.set_title(segment_name(segment))
    panel.set_ylabel(f"{TIMES} threshold")
    panel.set_ylim(bottom=0)
    panel.margins(y=0.12)
    panel.legend(loc="center left", bbox_to_anchor=(1.005, 0.5), handlelength=1.4, borderaxespad=0.2)


def _line(panel: Axes, rows: Sequence[Row], of: tuple[str, str], *, colour: str, width: float, label: str) -> None:
    """One column over its checks; a filled dot is an alarm."""
    mine = sorted((row for row in rows if (row["kind"], row["column"]) == of), key=lambda row: str(row["day"]))
    if not mine:
        return
    days = [day_of(row["day"]) for row in mine]
    values = [times_threshold(row) for row in mine]
    panel.plot(days, values, color=colour, linewidth=width, marker="o", markersize=3, label=label)
    alarms = [(day, value) for day, value, row in zip(days, values, mine, strict=True) if row["alarm"]]
    panel.scatter([day for day, _ in alarms], [value for _, value in alarms], color=colour, s=42, zorder=3)


def _told(segment: str, rows: Sequence[Row]) -> str:
    alarms = [row for row in rows if row["alarm"]]
    if not alarms:
        return f"{segment_name(segment)}: no alarm."
    first = min(str(row["day"]) for row in alarms)
    columns = sorted({row["column"] for row in alarms})
    return f"{segment_name(segment)}: {counted(len(alarms), 'alarm')} from {first} on, in {', '.join(columns)}."
