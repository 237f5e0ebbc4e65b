"""Which events can touch the entities of a request: an index over all of history, asked once for each K."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, integers


class Related:
    """Events of every stream, to be found by the entities of some requests.

    Found are all versions of every event that has, in any version, one of the entities or is about an event that has:
    an event that moved to another entity or another parent is to be seen whole.
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
        first, count = self.starts[here], self.starts[here + 1] - self.starts[here]
        skipped = np.repeat(first - (np.cumsum(count) - count), count)
        return self.order[skipped + np.arange(len(skipped))]


@dataclass(frozen=True)
class _Indexes:
    """One stream: its rows by entity, by id, and by the event that they are about."""

    by_key: Sequence[tuple[_Index, Ints]]
    """For each key that the stream has: its rows, and the key of every request."""
    by_id: _Index
    ids: Ints
    by_parent: _Index | None

    @classmethod
    def of(cls, pipeline: Pipeline, stream: Stream, events: pa.Table, scored: pa.Table, requests: pa.Table) -> Self:
        """The indexes of one stream."""
        keys = dict.fromkeys(view.of for view in pipeline.windows if view.of in stream.columns)
        coded = [_codes(events.column(key), requests.column(key)) for key in keys]
        ids = _codes(events.column("_id"))[0]
        parents = None
        if stream.parent is not None:
            # in the codes of the scored events' own ids, which come first
            parents = _Index.of(_codes(scored.column("_id"), events.column(stream.parent[0]))[1])
        return cls([(_Index.of(rows), asked) for rows, asked in coded], _Index.of(ids), ids, parents)

    def keyed(self, requests: Ints) -> Ints:
        """The rows that have an entity of the requests."""
        found = [index.rows(np.unique(asked[requests])) for index, asked in self.by_key]
        return np.concatenate([np.empty(0, np.int64), *found])

    def identities(self, rows: Ints) -> Ints:
        """The ids of some rows, as codes."""
        return np.unique(self.ids[rows])

    def whole(self, rows: Ints) -> Ints:
        """All versions of the events that some rows are versions of."""
        return np.sort(self.by_id.rows(self.identities(rows)))


def _codes(*columns: pa.ChunkedArray) -> list[Ints]:
    """Codes of several columns in one space, in the order of first appearance; -1 for null."""
    chunks = [chunk for column in columns for chunk in column.chunks]
    together = pa.chunked_array(chunks, columns[0].type).combine_chunks().dictionary_encode()
    values, valid = integers(together.indices)
    bounds = np.cumsum([len(column) for column in columns])[:-1]
    return np.split(np.where(valid, values, -1), bounds)
