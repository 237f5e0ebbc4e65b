"""What was measured without a target, as tables of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.features.lines import interval

Found = dict[str, Any]


def tables(parts: dict[str, Found]) -> Iterator[str]:
    """The tables of the parts that were measured."""
    for name, table in _TABLES.items():
        if name in parts:
            yield from (*table(parts[name]), "")


def _knowledge(found: Found) -> Iterator[str]:
    """What vectors cost that know what had arrived by their time, beside those that know everything."""
    yield "| vectors as they were served, where | that differ | CPU s | knowing all, CPU s | times as much |"
    yield "|---|---|---|---|---|"
    for case, told in found["cases"].items():
        served, everything = told["peer"]["cpu"], told["ours"]["cpu"]
        times = interval(told["cpu"], len(told["pairs"]))
        yield f"| {case} | {told['vectors that differ']:,} | {served:.2f} | {everything:.2f} | {times} |"


def _reads(found: Found) -> Iterator[str]:
    yield from ("| one request, events of each entity | p50 µs | p99 µs |", "|---|---|---|")
    for number, told in found["events of an entity"].items():
        yield f"| {int(number):,} | {told['p50 µs']:,.0f} | {told['p99 µs']:,.0f} |"


def _rich(found: Found) -> Iterator[str]:
    yield from _against(
        found["read"], "one read, events of the entity", lambda told: f"{told['count CPU µs']:,.0f} µs of CPU"
    )
    yield ""
    batch = found["batch"]
    yield from _against(batch, "a batch, events in a window", lambda told: f"{told['count CPU s']:.3f} s of CPU")


def _against(sizes: Found, what: str, absolute: Callable[[Found], str]) -> Iterator[str]:
    """Every function against count, one column for each size; what a count takes itself in the first row."""
    yield f"| {what} | {' | '.join(f'{int(size):,}' for size in sizes)} |"
    yield "|---" * (1 + len(sizes)) + "|"
    yield f"| count takes | {' | '.join(absolute(told) for told in sizes.values())} |"
    for name in next(iter(sizes.values()))["functions"]:
        each = [told["functions"][name] for told in sizes.values()]
        yield f"| {name} | {' | '.join(interval(one['ratio'], len(one['pairs'])) for one in each)} |"


_TABLES: dict[str, Callable[[Found], Iterator[str]]] = {"knowledge": _knowledge, "reads": _reads, "rich": _rich}
