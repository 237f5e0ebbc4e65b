"""Versions of events: which one stands, which of several copies was the first, and which came too late for a view.

A version that came too late for a view is, for that view, as if it had never come: what stood before it still stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask, integers

PUT, DELETE = 0, 1
FATES = ("events", "deleted", "replaced", "conflicts", "copies")
"""What a row that entered can be: an event that stands, or the delete of one; a version below a higher revision; other
bytes under an id and revision, where the greatest hash stands; the same version again."""


def settled(events: pa.Table) -> pa.Table:
    """The version of each event that stands: greatest revision, then canonical hash; deleted events are gone.

    Where the same bytes are put and deleted at one revision, the delete stands.
    """
    events = latest(events)
    put = integers(events.column("_op"))[0] == PUT
    return events if put.all() else events.filter(pa.array(put))


def latest(events: pa.Table) -> pa.Table:
    """The version of each event that decides, be it a delete: greatest revision, then canonical hash."""
    ids = id_codes(events.column("_id"))
    if are_distinct(ids):
        return events
    order = np.lexsort((*copy_rank_of(events), *rank_of(events), ids))
    return events.take(pa.array(np.sort(order[last_of(ids[order])])))


def fates(events: pa.Table, standing: pa.Table) -> dict[str, int]:
    """How many versions met each fate; `standing` is what `settled` leaves of them. Together they are all rows."""
    count, stand = len(events), len(standing)
    if stand == count:  # nobody met another version
        return dict.fromkeys(FATES, 0) | {"events": stand}
    version = (*rank_of(events), id_codes(events.column("_id")))
    ids, revisions, versions = (different(*version[first:]) for first in (3, 2, 0))
    return dict(zip(FATES, (stand, ids - stand, revisions - ids, versions - revisions, count - versions), strict=True))


def originals(events: pa.Table) -> pa.Table:
    """One copy of each version: of bytes sent again, the copy with the least watermark, then the least known.

    An event without watermark came in a file, before every other.
    """
    ids = id_codes(events.column("_id"))
    if are_distinct(ids):
        return events
    version = (*rank_of(events), ids)
    order = np.lexsort((*copy_rank_of(events), *version))
    return events.take(pa.array(np.sort(order[last_of(*(part[order] for part in version))])))


def unexpired(view: Windows, events: pa.Table) -> pa.Table:
    """The versions that did not come too late for a view."""
    late = are_late(view, events, integers(events.column("_time"))[0])
    return events.filter(pa.array(~late)) if late.any() else events


def are_late(view: Windows, events: pa.Table, times: Ints) -> Mask:
    """Which versions came too late for a view, each for a row of the given time."""
    column = events.column("_watermark")
    if column.null_count == len(column):
        return np.zeros(len(column), bool)
    watermark, measured = integers(column)
    return np.asarray(measured & (times < watermark - view.horizon), bool)


def id_codes(ids: pa.ChunkedArray | pa.Array) -> Ints:
    """Integers that are equal where ids are equal."""
    array = ids.combine_chunks() if isinstance(ids, pa.ChunkedArray) else ids
    if pa.types.is_integer(array.type):
        return integers(array)[0]
    return integers(array.dictionary_encode().indices)[0]


def are_distinct(codes: Ints) -> bool:
    """Whether no code occurs twice."""
    return bool((np.diff(codes) > 0).all() or (np.diff(np.sort(codes)) != 0).all())


def once(codes: Ints) -> Mask:
    """Where a code occurs once."""
    if are_distinct(codes):
        return np.ones(len(codes), bool)
    order = np.argsort(codes, kind="stable")
    ends = last_of(codes[order])
    found = np.empty(len(codes), bool)
    found[order] = ends & np.append(True, ends[:-1])
    return found


def different(*codes: np.ndarray) -> int:
    """How many different rows some columns of codes have."""
    order = np.lexsort(codes)
    return int(last_of(*(column[order] for column in codes)).sum()) if len(order) else 0


def last_of(*sorted_codes: Ints) -> Mask:
    """Where a group of equal codes ends."""
    changes = np.logical_or.reduce([codes[1:] != codes[:-1] for codes in sorted_codes])
    return np.append(changes, True)


def rank_of(events: pa.Table) -> Sequence[np.ndarray]:
    """What decides between versions of one event, the least important first."""
    digest = integers(events.column("_hash"))[0].view(np.uint64)
    return integers(events.column("_op"))[0], digest, integers(events.column("_revision"))[0]


def copy_rank_of(events: pa.Table) -> Sequence[np.ndarray]:
    """What decides between copies of one version, the least important first; the first copy comes last."""
    watermark, measured = integers(events.column("_watermark"))
    return -integers(events.column("_known"))[0], -watermark, ~measured


def parent_of(stream: Stream) -> tuple[str, Stream]:
    """The column and the stream of the events that a stream tells about."""
    if stream.parent is None:
        raise AssertionError(f"{stream} has no parent")
    return stream.parent
