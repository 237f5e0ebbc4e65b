"""How latencies are spread: one histogram on a logarithmic axis, with the percentiles that the report states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sluice.monitor.report.percentiles import nearest_rank
from sluice.monitor.report.plots.canvas import SERIES, Plot, mark, plot
from sluice.monitor.report.wording import milliseconds
from sluice.wording import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 48
_LEAST = 0.001
"""Milliseconds: a logarithmic axis has no zero."""


def latency_plot(name: str, microseconds: np.ndarray, *, noun: str, axis: str) -> Plot:
    """A histogram of one latency or more; `noun` says what was timed, `axis` from when to when."""
    p50, p99 = (nearest_rank(microseconds, rank) or 0.0 for rank in (50, 99))
    milli = np.maximum(microseconds / 1000, _LEAST)

    def draw(axes: list[Axes]) -> None:
        from matplotlib.ticker import LogLocator

        only = axes[0]
        only.hist(milli, bins=_edges(milli).tolist(), color=SERIES[0], alpha=0.85, histtype="stepfilled")
        only.set_xscale("log")
        only.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
        only.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        only.minorticks_off()
        only.set_xlabel(f"{axis} (ms, logarithmic)")
        only.set_ylabel(f"{noun}s")
        only.margins(y=0.22)
        mark(only, max(p50, _LEAST), f"half within {milliseconds(p50)}")
        mark(only, max(p99, _LEAST), f"99 % within {milliseconds(p99)}", line=1, before=_place(p99, milli) > 0.75)

    told = (
        f"Histogram of {counted(len(milli), noun)}: half within {milliseconds(p50)}, "
        f"99 in a hundred within {milliseconds(p99)}, the slowest {milliseconds(float(milli.max()))}."
    )
    return plot(name, told, draw)


def _edges(milli: np.ndarray) -> np.ndarray:
    """Bins of equal ratio from the fastest to the slowest."""
    low, high = float(milli.min()), float(milli.max())
    return np.geomspace(low * 0.98, high * 1.02, _BINS + 1)


def _place(value: float, milli: np.ndarray) -> float:
    """How far along the axis a value is, 0 to 1."""
    low, high = np.log([milli.min() * 0.98, milli.max() * 1.02])
    return float((np.log(max(value, _LEAST)) - low) / (high - low))
