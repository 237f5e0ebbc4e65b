"""Which events can touch the vector of a request: an index over all of history, asked once for each K."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, integers
from sluice.engine.history import keep


class Related:
    """Events of every stream, to be found by the entities and the times of some requests.

    Found are all versions of every event that has, in any version, one of the entities at a time that a window of its
    request reaches, or is about an event that has: an event that moved to another entity, another parent or another
    time is to be seen whole. What no window reaches in any version is in no value, so that the cost of a request is
    that of its own entities within reach, however long history is.
    """

    def __init__(self, pipeline: Pipeline, events: Mapping[str, pa.Table], requests: pa.Table) -> None:
        scored = events[pipeline.events.name]
        self._scored = pipeline.events.name
        self._streams = {
            stream.name: _Indexes.of(pipeline, stream, events[stream.name], scored, requests)
            for stream in pipeline.streams
        }

    def rows(self, requests: Ints) -> dict[str, Ints]:
        """The rows of every stream that matter to some requests (their places), ascending."""
        scored = self._streams[self._scored]
        about = scored.identities(scored.keyed(requests))
        found = {}
        for name, stream in self._streams.items():
            related = stream.keyed(requests)
            if stream.by_parent is not None:
                related = np.concatenate([related, stream.by_parent.rows(about)])
            found[name] = stream.whole(related)
        return found


class _Reach(NamedTuple):
    """How far before and after the time of a request the keyed events may lie that its windows need."""

    before: int
    after: int

    @classmethod
    def of(cls, view: Windows, kept: int) -> Self:
        """That of a view; where the key is inherited, events may be `kept` apart from those that are counted."""
        longest = max(view.window(function) for function in view.functions)
        apart = kept if view.inherits_key else 0
        return cls(view.lag + longest + int(view.slot or 0) + apart, apart)


@dataclass(frozen=True)
class _Index:
    """The rows of each code of a column; a code of -1 stands for null and has none."""

    order: Ints
    starts: Ints

    @classmethod
    def of(cls, codes: Ints) -> Self:
        """An index over codes."""
        order = np.argsort(codes, kind="stable")
        return cls(order, np.searchsorted(codes[order], np.arange(int(codes.max(initial=-1)) + 2)))

    def rows(self, codes: Ints) -> Ints:
        """The rows of some codes, each code named once."""
        here = codes[(codes >= 0) & (codes < len(self.starts) - 1)]
        return self.order[_places(self.starts[here], self.starts[here + 1])]


@dataclass(frozen=True)
class _Timeline:
    """The rows of each code in the order of their times; a code of -1 stands for null and has none."""

    order: Ints
    ranks: Ints
    """Of the rows in this order, code and time in one number."""
    moments: Ints
    """The different times, ascending."""

    @classmethod
    def of(cls, codes: Ints, times: Ints) -> Self:
        """An index over codes and times."""
        moments, moment = np.unique(times, return_inverse=True)
        ranks = codes * (len(moments) + 1) + moment
        order = np.argsort(ranks, kind="stable")
        order = order[np.count_nonzero(codes < 0) :]
        return cls(order, ranks[order], moments)

    def rows(self, codes: Ints, since: Ints, until: Ints) -> Ints:
        """The rows that have one of the codes at a time from its `since` to its `until`, each once."""
        here = codes >= 0
        first = self._rank(codes[here], np.searchsorted(self.moments, since[here], "left"))
        stop = self._rank(codes[here], np.searchsorted(self.moments, until[here], "right"))
        order = np.argsort(first, kind="stable")
        reached = np.maximum.accumulate(stop[order])
        # spans overlap where requests of one entity follow each other: each begins where those before it end
        begin = np.maximum(first[order], np.append(0, reached)[: len(reached)])
        return self.order[_places(begin, reached)]

    def _rank(self, codes: Ints, moment: Ints) -> Ints:
        return np.searchsorted(self.ranks, codes * (len(self.moments) + 1) + moment)


class _Keyed(NamedTuple):
    """A stream's rows by one key, with the key of every request, and the times from which to which it needs them."""

    rows: _Timeline
    asked: Ints
    since: Ints
    until: Ints


@dataclass(frozen=True)
class _Indexes:
    """One stream: its rows by entity and time, by id, and by the event that they are about."""

    by_key: Sequence[_Keyed]
    by_id: _Index
    ids: Ints
    by_parent: _Index | None

    @classmethod
    def of(cls, pipeline: Pipeline, stream: Stream, events: pa.Table, scored: pa.Table, requests: pa.Table) -> Self:
        """The indexes of one stream."""
        times, asked_at = (integers(table.column("_time"))[0] for table in (events, requests))
        keyed = []
        for key, reach in _reaches(pipeline, stream):
            codes, asked = _codes(events.column(key), requests.column(key))
            keyed.append(_Keyed(_Timeline.of(codes, times), asked, asked_at - reach.before, asked_at + reach.after))
        ids = _codes(events.column("_id"))[0]
        parents = None
        if stream.parent is not None:
            # in the codes of the scored events' own ids, which come first
            parents = _Index.of(_codes(scored.column("_id"), events.column(stream.parent[0]))[1])
        return cls(keyed, _Index.of(ids), ids, parents)

    def keyed(self, requests: Ints) -> Ints:
        """The rows that have an entity of the requests within their reach."""
        found = [key.rows.rows(key.asked[requests], key.since[requests], key.until[requests]) for key in self.by_key]
        return np.concatenate([np.empty(0, np.int64), *found])

    def identities(self, rows: Ints) -> Ints:
        """The ids of some rows, as codes."""
        return np.unique(self.ids[rows])

    def whole(self, rows: Ints) -> Ints:
        """All versions of the events that some rows are versions of."""
        return np.sort(self.by_id.rows(self.identities(rows)))


def _reaches(pipeline: Pipeline, stream: Stream) -> Iterator[tuple[str, _Reach]]:
    """The keys by which views find a stream's events, each with the furthest reach of its views."""
    kept = keep(pipeline)
    found: dict[str, list[_Reach]] = {}
    for view in pipeline.windows:
        holder = view.stream.parent[1] if view.inherits_key and view.stream.parent else view.stream
        if holder.name == stream.name:
            found.setdefault(view.of, []).append(_Reach.of(view, kept))
    for key, reaches in found.items():
        yield key, _Reach(*(max(side) for side in zip(*reaches, strict=True)))


def _places(first: Ints, stop: Ints) -> Ints:
    """The numbers of some spans, one span after the other."""
    count = stop - first
    skipped = np.repeat(first - (np.cumsum(count) - count), count)
    return skipped + np.arange(len(skipped))


def _codes(*columns: pa.ChunkedArray) -> list[Ints]:
    """Codes of several columns in one space, in the order of first appearance; -1 for null."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    together = pa.chunked_array(chunks, columns[0].type).combine_chunks().dictionary_encode()
    values, valid = integers(together.indices)
    bounds = np.cumsum([len(column) for column in columns])[:-1]
    return np.split(np.where(valid, values, -1), bounds)
