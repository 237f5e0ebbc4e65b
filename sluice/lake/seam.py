"""The seam of a hybrid stream: that no event is missing between the end of its files and the beginning of its topic.

By position: what a partition no longer has of its beginning happened before the cut, and so is in files. By time: from
the newest event that files have from before the cut, history goes on to the topic's first one after it, in steps no
longer than the stream may be silent. Both are asked with every batch of the topic until they hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.decisions import Verdict
from sluice.declare.durations import duration_text
from sluice.declare.hybrid import Hybrid
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, integers
from sluice.lake.contract import TOPIC
from sluice.lake.tables import Lake

RULE = "seam"
Runs = tuple[tuple[int, int], ...]
"""Spans of time in which events follow each other without a longer silence: the first and the last of each."""


class Steps(NamedTuple):
    """Some events of a hybrid stream from the end of its files on."""

    runs: Runs
    first: int | None
    """The first one of the topic that is not from before the cut."""


@dataclass(frozen=True)
class Seam:
    """What is asked of a stream whose files and topic have not met yet, and what published history has of it."""

    cut: int
    silence: int
    since: int | None
    """The newest event from before the cut that files have brought."""
    known: Steps
    """Published events from there on."""
    lost: Sequence[str]
    """What is gone of the topic and not in files, in words."""

    def steps(self, events: pa.Table) -> Steps:
        """The same of other events, as silver has them."""
        times, _ = integers(events.column("_time"))
        told = pc.starts_with(events.column("_source"), TOPIC).to_numpy(zero_copy_only=False).astype(bool)
        after = times[told & (times >= self.cut)]
        first = int(after.min()) if len(after) else None
        if self.since is None:
            return Steps((), first)
        # what comes after the first of the topic is no seam any more
        near = (times >= self.since) & (~told | (times < self.cut))
        return Steps(_runs(times[near] if first is None else np.append(times[near], first), self.silence), first)

    def met(self, steps: Iterable[Steps]) -> Met:
        """How files and topic meet, with the events that a batch brings."""
        every = self.joined([self.known, *steps])
        lost = [*self.lost, *self._silences(every)]
        return Met(self.cut, self.silence, lost, closed=every.first is not None and not lost)

    def joined(self, parts: Iterable[Steps]) -> Steps:
        """The steps of several parts together."""
        every = list(parts)
        first = min((one.first for one in every if one.first is not None), default=None)
        return Steps(_joined((one.runs for one in every), self.silence), first)

    def _silences(self, steps: Steps) -> Iterator[str]:
        """Silences up to the topic's first event after the cut that are longer than they may be."""
        if self.since is None:
            yield f"no file has brought an event from before {rfc3339(self.cut)}"
        for (_, last), (begin, _) in pairwise(steps.runs):
            if steps.first is not None and begin <= steps.first:
                told = f"nothing is known to have happened from {rfc3339(last)} to {rfc3339(begin)}"
                yield f"{told}; up to {duration_text(self.silence)} of silence are allowed"


@dataclass(frozen=True)
class Met:
    """Whether files and topic meet at the cut, and what is missing between them."""

    cut: int
    silence: int
    lost: Sequence[str]
    closed: bool
    """Whether the topic has come past the cut and nothing is missing: then it need not be asked again."""


def seam_of(lake: Lake, stream: Stream) -> Seam | None:
    """What is asked of a stream's seam; None if it is not hybrid, or its files and its topic have met."""
    hybrid = stream.hybrid
    if hybrid is None or _has_met(lake, stream.name, hybrid):
        return None
    silence = stream.micros("freshness") if hybrid.silence is None else int(hybrid.silence)
    since = _newest(lake, stream.name, hybrid.cut)
    asked = Seam(hybrid.cut, silence, since, Steps((), None), list(_lost(lake, stream, hybrid)))
    where = ds.field("_time") >= (hybrid.cut if since is None else since)
    chunks = lake.scan(f"silver/{stream.name}", columns=["_time", "_source"], where=where)
    return replace(asked, known=asked.joined(asked.steps(pa.table(chunk)) for chunk in chunks))


def still_lost(lake: Lake, stream: str, hybrid: Hybrid) -> list[str]:
    """What the last batch that was asked found missing at a seam, in words; nothing where it has met since."""
    asked = _asked(lake, stream, hybrid)
    if any(evidence["closed"] for _, evidence in asked):
        return []
    last = max((row["at"] for row, _ in asked), default=None)
    return sorted({row["message"] for row, _ in asked if row["at"] == last and row["verdict"] != Verdict.PASS.value})


def _has_met(lake: Lake, stream: str, hybrid: Hybrid) -> bool:
    """Whether a batch was judged with which files and topic met, at this cut."""
    return any(evidence["closed"] for _, evidence in _asked(lake, stream, hybrid))


def _asked(lake: Lake, stream: str, hybrid: Hybrid) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """The verdicts about the seam of a stream at its cut, each with its evidence."""
    where = (ds.field("stream") == stream) & (ds.field("rule") == RULE)
    rows = [(row, json.loads(row["evidence"])) for row in lake.rows("verdicts", where=where)]
    return [(row, evidence) for row, evidence in rows if evidence.get("cut") == hybrid.cut]


def _newest(lake: Lake, stream: str, cut: int) -> int | None:
    """The newest event from before the cut that did not come by a topic."""
    where = (ds.field("_time") < cut) & ~pc.starts_with(ds.field("_source"), TOPIC)
    chunks = lake.scan(f"silver/{stream}", columns=["_time"], where=where)
    return max((pc.max(chunk.column("_time")).as_py() for chunk in chunks if len(chunk)), default=None)


def _lost(lake: Lake, stream: Stream, hybrid: Hybrid) -> Iterator[str]:
    """Partitions whose broker has dropped their beginning, where that may hold events that files do not.

    An event is known at most `max_skew` before it happens: so a partition has every event from a moment on if its first
    record was known that much before.
    """
    least = hybrid.cut - int(hybrid.overlap) - stream.micros("max_skew")
    for name, first, known in _beginnings(lake, stream.name):
        if first > 0 and (known is None or known > least):
            begins = "at an unknown time" if known is None else f"at {rfc3339(known)}"
            yield (
                f"positions 0 to {first - 1:,} of {name} are not there, and the next was known {begins}; files end at "
                f"{rfc3339(hybrid.cut)}, so it had to be known by {rfc3339(least)}"
            )


def _beginnings(lake: Lake, stream: str) -> list[tuple[str, int, int | None]]:
    """The first archived position of every partition, and when that record was known."""
    columns = ["source", "partition", "position", "known"]
    every = pc.ScalarAggregateOptions(skip_nulls=False)
    first: dict[str, tuple[int, int | None]] = {}
    for chunk in lake.scan(f"events/{stream}", columns=columns, where=pc.starts_with(ds.field("source"), TOPIC)):
        groups = pa.table(chunk).sort_by("position").group_by(columns[:2], use_threads=False)
        for row in groups.aggregate([("position", "first", every), ("known", "first", every)]).to_pylist():
            name, position = f"{row['source']}/{row['partition']}", row["position_first"]
            if name not in first or position < first[name][0]:
                first[name] = position, row["known_first"]
    return [(name, position, known) for name, (position, known) in sorted(first.items())]


def _runs(times: Ints, silence: int) -> Runs:
    """Times as runs."""
    if not len(times):
        return ()
    ordered = np.sort(times)
    breaks = np.flatnonzero(np.diff(ordered) > silence)
    starts, ends = np.append(0, breaks + 1), np.append(breaks, len(ordered) - 1)
    return tuple(zip(ordered[starts].tolist(), ordered[ends].tolist(), strict=True))


def _joined(parts: Iterable[Runs], silence: int) -> Runs:
    """Runs as one, in order of time."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(run for part in parts for run in part):
        if found and first - found[-1][1] <= silence:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return tuple(found)
