"""The table and the plot of what was measured: every target with the figure, and whether it was shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Found = dict[str, Any]
SHOWN, NOT_SHOWN = "shown", "not shown"
WHY = Path(__file__).with_name("why.json")
"""What is known of why a target was missed, by the name of its line."""


@dataclass(frozen=True)
class Line:
    """One claim: what was asked, what was measured, and whether the whole interval lies on the right side."""

    what: str
    target: str
    measured: str
    verdict: str
    ratio: tuple[float, float, float, float] | None = None
    """Median, low, high and the target of a ratio."""


def ratios(results: Path) -> list[Line]:
    """Every target in the order of the issue, as far as its part was measured."""
    makers: dict[str, Callable[[Found], Iterator[Line]]] = {
        "batch": _batch,
        "large": _large,
        "stream": _stream,
        "kafka": _kafka,
        "reads": _reads,
        "rich": _rich,
    }
    parts = {name: _read(results / f"features-{name}.json") for name in makers}
    return [line for name, found in parts.items() if found for line in makers[name](found)]


def write(results: Path) -> None:
    """Write features.md and features.png beside the raw numbers."""
    lines = ratios(results)
    told = ["# Features: speed", "", "Ratios are the peer's median over ours with a bootstrap 95 % interval from"]
    told += ["interleaved pairs; one counts as shown when the whole interval lies on the right side of its target.", ""]
    told += ["| what | target | measured | |", "|---|---|---|---|"]
    told += [f"| {line.what} | {line.target} | {line.measured} | {line.verdict} |" for line in lines]
    told += ["", *_why(lines), *_tables(results), "![ratios](features.png)", ""]
    (results / "features.md").write_text("\n".join(told))
    _plot([line for line in lines if line.ratio], results / "features.png")


def _why(lines: list[Line]) -> Iterator[str]:
    """A reason for each target that was not shown; one without is told as such."""
    known = json.loads(WHY.read_text())
    missed = [line.what for line in lines if line.verdict == NOT_SHOWN]
    if missed:
        yield from ("Not shown, and why:", "")
        yield from (f"- {what}: {known.get(what, 'nobody has looked into it yet')}" for what in missed)
        yield ""


def _read(path: Path) -> Found | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _ratio(what: str, found: Found, kind: str, target: float | None) -> Line:
    told = found[kind]
    measured = f"{told['median']:.2f} ({told['low']:.2f} to {told['high']:.2f})"
    ours, peer = found["ours"][kind], found["peer"][kind]
    measured = f"{measured}; {ours:.2f} s beside {peer:.2f} s"
    if target is None:
        return Line(f"{what}, {kind}", "", measured, "")
    verdict = SHOWN if told["low"] >= target and len(found["pairs"]) >= 15 else NOT_SHOWN
    ends = (told["median"], told["low"], told["high"], target)
    return Line(f"{what}, {kind}", f"≥ {target:g}×", measured, verdict, ends)


def _limit(what: str, value: float, limit: float, unit: str, *, most: bool = True, more: str = "") -> Line:
    holds = value <= limit if most else value >= limit
    sign = "≤" if most else "≥"
    return Line(what, f"{sign} {limit:,g} {unit}", f"{value:,.4g} {unit}{more}", SHOWN if holds else NOT_SHOWN)


def _batch(found: Found) -> Iterator[Line]:
    laying = found["(a) layout"]["ours"]
    yield Line("(a) laying events out in buckets, once", "", f"{laying['wall']:.2f} s, CPU {laying['cpu']:.2f} s", "")
    for what, kind, target in (
        ("(c) on Spark beside Spark SQL", "wall", 4),
        ("(c) on Spark beside Spark SQL", "cpu", 6),
        ("(c) beside DuckDB", "wall", 3),
        ("(c) beside DuckDB", "cpu", None),
        ("(c) beside Polars", "wall", 1),
        ("(c) beside Polars", "cpu", None),
        ("(c) on Spark beside Polars", "wall", 1),
        ("(c) on Spark beside Polars", "cpu", None),
    ):
        yield _ratio(what, found[what], kind, target)
    yield _ratio("(b) beside bare numpy", found["(b) beside bare numpy"], "cpu", 1 / 1.5)


def _large(found: Found) -> Iterator[Line]:
    ours = found["ten times the rows"]
    yield _limit("ten times the rows, CPU", ours["CPU"], 14, "×")
    yield _limit("ten times the rows, memory of a worker", ours["worker MB"], 1024, "MB")
    once = ours["worker MB, once the rows"]
    yield Line("once the rows, all in one worker: its memory", "", f"{once:,.0f} MB", "")
    for name, peer in found["peers"].items():
        yield Line(f"ten times the rows, {name} once", "", f"{peer['wall']:.0f} s, {peer['told']}", "")


def _stream(found: Found) -> Iterator[Line]:
    rate = found["fold"]
    yield _limit("fold into SQLite, events per CPU second", rate["events a CPU second"], 20_000, "/s", most=False)
    yield _ratio("batches of 5,000 beside Feast push", found["micro-batch of 5,000, beside Feast push"], "wall", 5)


def _kafka(found: Found) -> Iterator[Line]:
    for name, rate in found["events a second"].items():
        yield _limit(f"from Kafka on, {name}", rate, 5_000, "events/s", most=False)


def _reads(found: Found) -> Iterator[Line]:
    beside = found["read beside the Feast SDK"]["ratio"]
    measured = f"{beside['median']:.2f} ({beside['low']:.2f} to {beside['high']:.2f})"
    ends = (beside["median"], beside["low"], beside["high"], 5)
    yield Line("one request beside the Feast SDK", "≥ 5×", measured, SHOWN if ends[1] >= 5 else NOT_SHOWN, ends)
    for store, p50, p99 in (("SQLite", 60, 200), ("Redis", 250, None)):
        latency = found.get(f"one request, {store}")
        if latency is not None:
            least, greatest = latency["p50 of a round, least and greatest"]
            rounds = f"; of a round {least:.0f} to {greatest:.0f}"
            yield _limit(f"one request, {store}, p50", latency["p50 µs"], p50, "µs", more=rounds)
            if p99 is not None:
                yield _limit(f"one request, {store}, p99", latency["p99 µs"], p99, "µs")
    yield _limit("a hundred requests, p50", found["a hundred requests"]["p50 µs"], 3_000, "µs")
    more = found["ten times the entities"]["ratio"]
    within = SHOWN if more["low"] <= 1 <= more["high"] else f"{more['median'] - 1:+.1%}"
    yield Line(
        "ten times the entities", "unchanged", f"{more['median']:.3f} ({more['low']:.3f} to {more['high']:.3f})", within
    )


def _rich(found: Found) -> Iterator[Line]:
    for path in ("batch", "read"):
        name, told = max(found["functions"].items(), key=lambda item: item[1][f"{path} against count"])
        yield _limit(f"dearest function in {path} ({name}) against count", told[f"{path} against count"], 10, "×")


def _tables(results: Path) -> Iterator[str]:
    yield from _knowledge(_read(results / "features-knowledge.json"))
    reads, rich = _read(results / "features-reads.json"), _read(results / "features-rich.json")
    if reads:
        yield from ("| events of an entity | p50 µs | p99 µs |", "|---|---|---|")
        for number, told in reads["events of an entity"].items():
            yield f"| {int(number):,} | {told['p50 µs']:,.0f} | {told['p99 µs']:,.0f} |"
        yield ""
    if rich:
        yield from (
            "| function | batch, CPU s of 500,000 | against count | read µs | against count |",
            "|---|---|---|---|---|",
        )
        for name, told in rich["functions"].items():
            batch, read = told["batch against count"], told["read against count"]
            yield f"| {name} | {told['batch CPU s']:.3f} | {batch:.2f} | {told['read µs']:.1f} | {read:.2f} |"
        yield ""


def _knowledge(found: Found | None) -> Iterator[str]:
    """What vectors cost that know what had arrived by their time, beside those that know everything."""
    if found is None:
        return
    yield "| vectors as they were served, where | that differ | CPU s | knowing all, CPU s | times as much |"
    yield "|---|---|---|---|---|"
    for case, told in found["cases"].items():
        served, everything, ratio = told["peer"]["cpu"], told["ours"]["cpu"], told["cpu"]
        times = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
        yield f"| {case} | {told['vectors that differ']:,} | {served:.2f} | {everything:.2f} | {times} |"
    yield ""


def _plot(lines: list[Line], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.45 * len(lines) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, line in enumerate(lines):
        assert line.ratio is not None
        median, low, high, target = line.ratio
        colour = "#1b7837" if line.verdict == SHOWN else "#b35806"
        axes.plot([low, high], [place, place], color=colour, linewidth=3)
        axes.plot(median, place, "o", color=colour)
        axes.plot([target, target], [place - 0.3, place + 0.3], color="black", linewidth=1.5)
    axes.set_yticks(range(len(lines)), [line.what for line in lines])
    axes.invert_yaxis()
    axes.set_xscale("log")
    ticks = [0.5, 1, 2, 3, 5, 10, 20]
    axes.set_xticks(ticks, [f"{tick:g}×" for tick in ticks])
    axes.set_xlabel("times as much as ours; the bar is the 95 % interval, the black mark the target")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=130)
