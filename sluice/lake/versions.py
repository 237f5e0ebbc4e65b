"""Versions of events that meet: the same bytes again, and other bytes under the same id and revision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.versions import id_codes

IDENTITY = ("_id", "_revision", "_hash", "_op")
"""What makes a version of an event; with the same identity again it is a copy."""
ARRIVAL = ("_watermark", "_known", "_source", "_partition", "_position")
"""What decides between copies: that one is the first which a view would keep, from a file, else with the least
watermark, then the least known."""
_Words = np.ndarray[tuple[int], np.dtype[np.uint64]]


@dataclass(frozen=True)
class Settled:
    """What arriving rows are beside history and each other, row by row."""

    first: Mask
    """Whether it is the copy of its version to keep; it may be first although history holds a later copy."""
    duplicate: Mask
    """Whether its version is there already, in history or in a copy before it."""
    conflict: Mask
    """Whether it is new and contradicts a version of the same id and revision that is there already."""
    kept: Ints
    """Where it conflicts: the greater hash of the two, as unsigned numbers; that version stands."""
    dropped: Ints


def settle(arrived: pa.Table, held: pa.Table) -> Settled:
    """Settle arriving rows against each other and against the rows that history holds of the same events.

    Both have the columns of `IDENTITY` and `ARRIVAL`. The result is a function of the sets of rows, not of their order;
    what history holds counts as there before anything that arrives.
    """
    count = len(arrived)
    every = pa.concat_tables([arrived.select([*IDENTITY, *ARRIVAL]), held.select([*IDENTITY, *ARRIVAL])])
    first, duplicate, conflict = np.ones(count, bool), np.zeros(count, bool), np.zeros(count, bool)
    kept, dropped = np.zeros(count, np.int64), np.zeros(count, np.int64)
    contested = np.flatnonzero(_repeated(id_codes(every.column("_id"))))
    if len(contested):
        meeting = _Meeting(every.take(pa.array(contested)), contested >= count)
        new = contested < count
        at = contested[new]
        is_first, again = meeting.copies()
        first[at], duplicate[at] = is_first[new], again[new]
        other = meeting.contradicted()
        conflict[at] = (other[new] >= 0) & ~again[new]
        mine = meeting.rank[new]
        kept[at] = meeting.hash_of(np.maximum(mine, other[new]))
        dropped[at] = meeting.hash_of(np.minimum(mine, other[new]))
    return Settled(first, duplicate, conflict, kept, dropped)


class _Meeting:
    """Rows whose ids occur more than once, as numbers to sort by."""

    def __init__(self, rows: pa.Table, old: Mask) -> None:
        self._old = old
        self._id = id_codes(rows.column("_id"))
        self._revision = integers(rows.column("_revision"))[0]
        digest = integers(rows.column("_hash"))[0].view(np.uint64)
        self.rank, self._hashes = _ranked(digest, integers(rows.column("_op"))[0])
        watermark, measured = integers(rows.column("_watermark"))
        place = [integers(rows.column(name))[0] for name in ("_position", "_partition")]
        # the least important first, as lexsort wants them
        self._arrival = (*place, _alphabetical(rows.column("_source")), ~old, integers(rows.column("_known"))[0])
        self._arrival += (np.where(measured, watermark, 0), measured)

    def copies(self) -> tuple[Mask, Mask]:
        """Which rows are the first copy of their version, and which find it there already."""
        order = np.lexsort((*self._arrival, self.rank, self._revision, self._id))
        starts = _starts(self._id[order], self._revision[order], self.rank[order])
        group = np.cumsum(starts) - 1
        known = np.logical_or.reduceat(self._old[order], np.flatnonzero(starts))[group]
        return _back(starts, order), _back(~starts | known, order)

    def contradicted(self) -> Ints:
        """The greatest rank among the rows of the same id and revision that were there before each; -1 for none."""
        order = np.lexsort((*self._arrival, ~self._old, self._revision, self._id))
        starts = _starts(self._id[order], self._revision[order])
        offset = (np.cumsum(starts) - 1) * len(self._hashes)
        running = np.maximum.accumulate(offset + self.rank[order])
        before = np.concatenate([[-1], running[:-1]]) - offset
        return _back(np.where(starts, -1, before), order)

    def hash_of(self, rank: Ints) -> Ints:
        """The hash that a rank stands for."""
        return self._hashes[rank]


def _ranked(digest: _Words, operation: Ints) -> tuple[Ints, Ints]:
    """The place of each (hash as unsigned number, operation) in their order, and the hash at each place."""
    order = np.lexsort((operation, digest))
    starts = _starts(digest[order], operation[order])
    return _back(np.cumsum(starts) - 1, order), digest[order][starts].view(np.int64)


def _alphabetical(texts: pa.ChunkedArray) -> Ints:
    encoded = texts.combine_chunks().dictionary_encode()
    names = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object), kind="stable"))
    return names[integers(encoded.indices)[0]]


def _starts(*columns: np.ndarray) -> Mask:
    """Where a run of equal rows begins."""
    changes = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.concatenate([[True], changes])


def _back(values: np.ndarray, order: Ints) -> np.ndarray:
    """Values that were computed in an order, in the order before it."""
    result = np.empty_like(values)
    result[order] = values
    return result


def _repeated(codes: Ints) -> Mask:
    _, place, times = np.unique(codes, return_inverse=True, return_counts=True)
    return times[place] > 1
