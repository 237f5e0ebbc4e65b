"""What became of each event, as far as it was known by a moment."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.streams import Label
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.versions import originals, settled


def label_at(label: Label, events: Mapping[str, pa.Table], ids: pa.Array, times: Ints, at: int) -> tuple[Ints, Mask]:
    """The label of each event (its id and event time) as known at `at`, and whether it is known.

    `events` holds the encoded versions of the telling stream. A label that nobody told counts as absent once
    `after` has passed; a later telling event wins over an earlier one, by (time, id).
    """
    parent = label.told_by.parent
    if parent is None:
        raise AssertionError(f"{label} is told by a stream without a parent")
    told = originals(events[label.told_by.name])
    known = settled(told.filter(pc.less_equal(told.column("_known"), at)))
    latest = known.sort_by([("_time", "descending"), ("_id", "descending")])
    # index_in finds the first, which is the latest telling event of each parent; null is nobody's parent
    parents = latest.column(parent[0]).combine_chunks()
    found, valid = integers(pc.index_in(ids, value_set=parents, skip_nulls=True))
    values, _ = integers(latest.column(label.name))
    told_values = values[np.where(valid, found, 0)] if len(values) else np.zeros(len(times), np.int64)
    if label.absent is None:
        return np.where(valid, told_values, 0), valid
    settled_by_now = times + int(label.after) <= at
    return np.where(valid, told_values, label.absent), valid | settled_by_now
