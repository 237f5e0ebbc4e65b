"""How the scores of each segment are spread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from sluice.monitor.report.plots.canvas import SERIES, Plot, plot
from sluice.monitor.report.wording import segment_name
from sluice.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEAST = 1e-4
"""Scores below are drawn here."""
_EDGES = np.geomspace(LEAST, 1, 49)


def score_plot(scores: Mapping[str, np.ndarray]) -> Plot:
    """A histogram for each segment on one logarithmic axis from 0.0001 to 1."""

    def draw(axes: list[Axes]) -> None:
        for panel, (segment, values) in zip(axes, scores.items(), strict=True):
            clipped = np.clip(values, LEAST, 1)
            weights = np.full(len(values), 100 / max(len(values), 1))
            panel.hist(
                clipped, bins=_EDGES.tolist(), weights=weights, color=SERIES[0], alpha=0.85, histtype="stepfilled"
            )
            panel.set_xscale("log")
            panel.minorticks_off()
            panel.set_title(f"{segment_name(segment)} · {counted(len(values), 'score')}")
            panel.set_ylabel("% of scores")
            panel.set_xlim(LEAST * 0.97, 1)
        axes[-1].xaxis.set_major_formatter(lambda value, _: f"{value:g}" if value > LEAST else f"≤ {LEAST:g}")
        axes[-1].set_xlabel("score: probability of the label (logarithmic)")

    told = "Histograms of scores. " + " ".join(_told(segment, values) for segment, values in scores.items())
    return plot("scores", told, draw, rows=len(scores), height=1.35)


def _told(segment: str, values: np.ndarray) -> str:
    low, half, high = np.percentile(values, (5, 50, 95), method="inverted_cdf")
    return (
        f"{segment_name(segment)}: {counted(len(values), 'score')}, median {half:.2g}, "
        f"nine in ten between {low:.2g} and {high:.2g}."
    )
