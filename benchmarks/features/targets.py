"""Every target of the engine's speed, part by part, as far as it was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.features.lines import Line, at_least, at_most, interval, limit, no_dearer, rate, unmeasured
from benchmarks.features.pairs import ratio
from benchmarks.features.sides import SIDES

Found = dict[str, Any]
READ, BATCH = (100, 1_000, 20_000, 100_000), (100, 333, 3_300)
"""Events of an entity that is read, and about how many a window of a batch has: functions are measured at each."""
MOST = 10
"""How many times a count a function may cost."""


def lines(parts: dict[str, Found]) -> Iterator[Line]:
    """Every target in the order of the issue; a part that is not there was not measured."""
    for name, targets in _TARGETS.items():
        yield from targets(parts.get(name, {})) if name in {*parts, "rich"} else [unmeasured(f"the part `{name}`")]


def _batch(found: Found) -> Iterator[Line]:
    laying = found["(a) layout"]["ours"]
    yield Line("(a) laying events out in buckets, once", "", f"{laying['wall']:.2f} s, CPU {laying['cpu']:.2f} s", "")
    for key, wall, cpu in (
        ("(c) on Spark beside Spark SQL", 4, 6),
        ("(c) on Spark beside DuckDB", 3, None),
        ("(c) beside DuckDB", 3, None),
        ("(c) on Spark beside Polars", 1, None),
        ("(c) beside Polars", 1, None),
    ):
        yield from _beside(key, found.get(key), {"wall": wall, "cpu": cpu})
    bare = found["(b) beside bare numpy"]
    for kind in ("wall", "cpu"):
        what = f"{SIDES['(b) beside bare numpy'].name}, {kind}: how many times as much as the other"
        yield at_most(what, _inverse(bare[kind]), 1.5, len(bare["pairs"]), more=_seconds(bare, kind))


def _large(found: Found) -> Iterator[Line]:
    ours = found["ten times the rows"]
    cpu = [(small["cpu"], large["cpu"]) for small, large in zip(ours["small"], ours["large"], strict=True)]
    yield at_most("ten times the rows, CPU", vars(ratio(cpu)), 14, len(cpu))
    yield limit("ten times the rows, memory of a worker", ours["worker MB"], 1024, "MB")
    once = ours["worker MB, once the rows"]
    yield Line("once the rows, all in one worker: its memory", "", f"{once:,.0f} MB", "")
    for name, peer in found["peers"].items():
        yield Line(f"ten times the rows, {name} once", "", f"{peer['wall']:.0f} s, {peer['told']}", "")


def _stream(found: Found) -> Iterator[Line]:
    each, of = found["fold"]["events a CPU second"], "; the median of 20 batches"
    yield limit("fold into SQLite, events for each second of CPU", each, 20_000, "events/s", most=False, more=of)
    key = "micro-batch of 5,000, beside Feast push"
    yield from _beside(key, found[key], {"wall": 5, "cpu": None})


def _kafka(found: Found) -> Iterator[Line]:
    for name in found["events a second"]:
        yield rate(f"from Kafka on, {name}", [run[name] for run in found["runs"]], 5_000, "events/s")


def _reads(found: Found) -> Iterator[Line]:
    beside = found["read beside the Feast SDK"]
    yield at_least("one request beside the Feast SDK", beside["ratio"], 5, len(beside["pairs"]))
    for store, p50, p99 in (("SQLite", 60, 200), ("Redis", 250, None)):
        latency = found[f"one request, {store}"]
        least, greatest = latency["p50 of a round, least and greatest"]
        rounds = f"; of a round {least:.0f} to {greatest:.0f}"
        yield limit(f"one request, {store}, p50", latency["p50 µs"], p50, "µs", more=rounds)
        if p99 is not None:
            yield limit(f"one request, {store}, p99", latency["p99 µs"], p99, "µs")
    yield limit("a hundred requests, p50", found["a hundred requests"]["p50 µs"], 3_000, "µs")
    more = found["ten times the entities"]
    yield no_dearer("ten times the entities", more["ratio"], len(more["pairs"]))


def _rich(found: Found) -> Iterator[Line]:
    for path, sizes, of in (("read", READ, "of an entity"), ("batch", BATCH, "in a window")):
        for size in sizes:
            told = found.get(path, {}).get(str(size))
            what = f"richer functions against count, {path}, {size:,} events {of}"
            yield _dearest(what, told["functions"]) if told else unmeasured(what, f"≤ {MOST:g}×")


def _dearest(what: str, functions: Found) -> Line:
    """The dearest function, which keeps the target for all, and how dear the others are that do not keep it."""
    ordered = sorted(functions.items(), key=lambda item: -item[1]["ratio"]["high"])
    name, dearest = ordered[0]
    dear = [(other, told) for other, told in ordered[1:] if told["ratio"]["high"] > MOST]
    more = f" {name}" + "".join(f"; {interval(told['ratio'], len(told['pairs']))} {other}" for other, told in dear)
    return at_most(what, dearest["ratio"], MOST, min(len(told["pairs"]) for told in functions.values()), more=more)


def _beside(key: str, found: Found | None, targets: dict[str, float | None]) -> Iterator[Line]:
    """Wall and CPU of a comparison with a peer, each with its target if it has one."""
    for kind, target in targets.items():
        what = f"{SIDES[key].name}, {kind}"
        if found is None:
            yield unmeasured(what, "" if target is None else f"≥ {target:g}×")
        elif target is None:
            yield Line(what, "", interval(found[kind], len(found["pairs"])) + _seconds(found, kind), "")
        else:
            yield at_least(what, found[kind], target, len(found["pairs"]), more=_seconds(found, kind))


def _seconds(found: Found, kind: str) -> str:
    return f"; {found['ours'][kind]:.2f} s beside {found['peer'][kind]:.2f} s"


def _inverse(told: Found) -> Found:
    """How many times as much ours takes."""
    return {"median": 1 / told["median"], "low": 1 / told["high"], "high": 1 / told["low"]}


_TARGETS: dict[str, Callable[[Found], Iterator[Line]]] = {
    "batch": _batch,
    "large": _large,
    "stream": _stream,
    "kafka": _kafka,
    "reads": _reads,
    "rich": _rich,
}
