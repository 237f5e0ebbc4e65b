"""A range of a topic in spans of offsets, each of which a worker reads by itself, as raw events of bronze."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from sluice.engine.store import Partition
from sluice.errors import Outage
from sluice.stream.records import bronze_rows
from sluice.stream.subscription import Subscription

_POLLED = 5_000
"""Records that are taken over from the client at once."""
_PATIENCE_S = 60.0
"""How long a broker may say nothing while records are to come."""


@dataclass(frozen=True)
class Asked:
    """Of every partition: from an offset or a moment on, up to another; all that is there where nothing is said.

    Moments are those of records, in microseconds; a record at `until` is not among them, nor one at `until_offset`.
    """

    from_offset: int | None = None
    until_offset: int | None = None
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True)
class Extent:
    """What there is to bring of a partition: offsets `first` ≤ o < `until`; the broker's first one is `begins`."""

    begins: int
    first: int
    until: int
    is_asked: bool
    """Whether it was said where to begin."""


@dataclass(frozen=True)
class Span:
    """Offsets `first` ≤ o < `until` of a partition."""

    partition: Partition
    first: int
    until: int

    @property
    def name(self) -> str:
        """Tells it from every other span of a topic."""
        return f"{self.partition[1]:05}-{self.first:020}"


def extents(bootstrap: str, topic: str, asked: Asked) -> Mapping[Partition, Extent]:
    """What the broker has of every partition of what is asked for; UserError when there is no such topic."""
    with Subscription(bootstrap, [topic], lambda _: None) as subscription:
        begins, ends = subscription.beginnings(), subscription.ends()
        since = begins if asked.since is None else subscription.since(asked.since)
        until = ends if asked.until is None else subscription.since(asked.until)
    found = {}
    for place, begin in begins.items():
        first = since[place] if asked.from_offset is None else max(since[place], asked.from_offset)
        last = until[place] if asked.until_offset is None else min(until[place], asked.until_offset)
        named = asked.from_offset is not None or asked.since is not None
        # an offset that the broker has dropped is told as a gap, and so stays below `begins`
        first = asked.from_offset if asked.from_offset is not None and asked.from_offset < begin else first
        found[place] = Extent(begin, first, max(first, min(last, ends[place])), named)
    return found


def rows_of(bootstrap: str, span: Span) -> Iterator[pa.Table]:
    """The records of a span as rows of bronze, a few at a time, in order; Outage when the broker falls silent."""
    topic, number = span.partition
    with Subscription(bootstrap, [topic], lambda _: span.first, numbers={number}, most=_POLLED) as subscription:
        heard = time.monotonic()
        while subscription.next_offsets()[span.partition] < span.until:
            records = [record for record in subscription.poll(500) if record.offset < span.until]
            if records:
                heard = time.monotonic()
                yield bronze_rows(records, batch="")
            elif time.monotonic() - heard > _PATIENCE_S:
                raise Outage(
                    f"{topic}/{number} was silent for {_PATIENCE_S:.0f} s with records to come",
                    where=bootstrap,
                    next_step="see that the broker runs, and run it again: it goes on where it was",
                )
