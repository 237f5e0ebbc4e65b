"""Figures as inline SVG: colours and type are those of the page, light or dark; every plot tells itself in words too.

A colour here is a token that no one sees: in the SVG it becomes a variable of the page's style sheet.
"""

from __future__ import annotations

import datetime as dt
import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sluice.declare.durations import DAY
from sluice.monitor.report.markup import Markup, tag

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, GOOD, BAD, WARN = "#010101", "#010102", "#010103", "#010104", "#010105", "#010106"
SERIES = ("#020201", "#020202", "#020203", "#020204", "#020205", "#020206")
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--grid",
    GOOD: "--good",
    BAD: "--bad",
    WARN: "--warn",
    **{token: f"--series-{place}" for place, token in enumerate(SERIES, start=1)},
}
WIDTH = 9.4
"""Inches; the page shows an inch as about 100 pixels."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.8,
    "hatch.linewidth": 0.8,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure and its words; `told` says what the picture shows to those who do not see it."""

    name: str
    svg: Markup
    told: str

    def shown(self, caption: str) -> Markup:
        """The figure with its caption."""
        picture = tag("div", self.svg, class_="plot", tabindex="0")
        return tag("figure", picture, tag("figcaption", caption), id=f"plot-{self.name}")


def plot(name: str, told: str, draw: Callable[[list[Axes]], None], *, rows: int = 1, height: float = 2.2) -> Plot:
    """What `draw` puts into `rows` panels below each other, each `height` inches, on one shared axis at the bottom."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, rows * height + 0.6), layout="constrained", facecolor="none")
        axes = list(figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0])
        for each in axes:
            each.tick_params(length=0)
            each.grid(visible=False, axis="x")
        draw(axes)
        return Plot(name, _svg(figure, name, told), told)


def mark(axes: Axes, at: Any, words: str, *, colour: str = INK, line: int = 0, before: bool = False) -> None:
    """A vertical line with words at its top, `line` lines down, after it or before it."""
    axes.axvline(at, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
    axes.annotate(
        words,
        (at, 1),
        xycoords=("data", "axes fraction"),
        xytext=(-4 if before else 4, -2 - 12 * line),
        textcoords="offset points",
        ha="right" if before else "left",
        va="top",
        color=colour,
        fontsize=8.5,
    )


def day_at(at: int) -> float:
    """Where an event time in microseconds lies on an axis of dates."""
    return at / DAY


def day_of(day: str | dt.date) -> float:
    """Where a day, also one in ISO text, lies on an axis of dates."""
    date = day if isinstance(day, dt.date) else dt.date.fromisoformat(day)
    return float((date - dt.date(1970, 1, 1)).days)


def dated(axes: Axes) -> None:
    """Event time along the bottom, without a clutter of digits."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]  # matplotlib leaves it untyped
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]  # likewise
    axes.set_xlabel("event time (UTC)")


def _svg(figure: Figure, name: str, told: str) -> Markup:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = out.getvalue()
    view = re.search(r'viewBox="[^"]+"', text)
    drawn = text[text.index("</metadata>") + 11 if "</metadata>" in text else text.index(">", text.index("<svg")) + 1 :]
    for token, variable in _VARIABLES.items():
        drawn = drawn.replace(token, f"var({variable})")
    drawn = re.sub(r"<style.*?</style>", "", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r"font-family: [^;\"]*;? ?", "", drawn)
    # a page has several plots, and an id belongs to one of them
    drawn = re.sub(r'\b(id="|xlink:href="#|url\(#)', rf"\g<1>{name}-", drawn)
    opening = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {view[0] if view else ""} role="img">'
    return Markup(f"{opening}{tag('title', told)}{drawn}")
