"""The page and the plot of what was measured: every target with its figure, whether it was shown, and what it is of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.features import lines, provenance, sides, tables, targets
from benchmarks.features.lines import SHOWN, Line

PARTS = ("batch", "large", "knowledge", "stream", "kafka", "reads", "rich")
WHY = Path(__file__).with_name("why.json")
"""What is known of why a target was missed, by the name of its line."""
_INTRODUCTION = (
    "Ratios are the other side's median over ours, or as the line says, with a bootstrap 95 % interval from",
    "interleaved pairs. One counts as shown when there are 15 pairs or more and the whole interval lies on the right",
    "side of its target; a rate when the slowest run keeps it.",
)


def page(parts: dict[str, dict[str, Any]]) -> str:
    """The page of the parts that were measured."""
    found = list(targets.lines(parts))
    told = ["# Features: speed", "", *_INTRODUCTION, "", *lines.table(found), *lines.reasons(found, WHY)]
    told += ["What stands on either side:", "", *sides.table(sides.SIDES.values()), *tables.tables(parts)]
    told += ["Where the figures come from:", "", *provenance.table(parts), "![ratios](features.png)", ""]
    return "\n".join(told)


def write(results: Path) -> None:
    """Write features.md and features.png beside the raw numbers."""
    files = {name: results / f"features-{name}.json" for name in PARTS}
    parts = {name: json.loads(path.read_text()) for name, path in files.items() if path.is_file()}
    (results / "features.md").write_text(page(parts))
    _plot([line for line in targets.lines(parts) if line.ratio], results / "features.png")


def _plot(drawn: Sequence[Line], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.45 * len(drawn) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(drawn):
        assert line.ratio is not None
        median, low, high, target = line.ratio
        colour = "#1b7837" if line.verdict == SHOWN else "#b35806"
        axes.plot([low, high], [place, place], color=colour, linewidth=3)
        axes.plot(median, place, "o", color=colour)
        axes.plot([target, target], [place - 0.3, place + 0.3], color="black", linewidth=1.5)
    axes.set_yticks(range(len(drawn)), [line.what for line in drawn])
    axes.invert_yaxis()
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 3, 5, 10, 20]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xlabel("times as much as ours; the bar is the 95 % interval, the black mark the target")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=130)
