"""The watermark an event of a topic is met with: the greatest accepted event time at smaller offsets of its partition.

An event that is older than that by more than a view's horizon has expired for the view, wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from sluice.engine.encode import Ints, integers

_NONE = np.iinfo(np.int64).min


def with_watermarks(accepted: pa.Table, before: Mapping[str, int]) -> tuple[pa.Table, dict[str, int]]:
    """Accepted events in order of position, each with its `_watermark`, and the watermarks after all of them.

    `before` has the watermark of every `source/partition` that the events continue; others begin without one.
    """
    after, (times, _) = dict(before), integers(accepted.column("_time"))
    marks = np.full(len(times), _NONE)
    for place, rows in _by_place(accepted).items():
        running = np.maximum.accumulate(np.concatenate([[after.get(place, _NONE)], times[rows]]))
        marks[rows], after[place] = running[:-1], int(running[-1])
    column = pa.array(marks, pa.int64(), mask=marks == _NONE)
    return accepted.set_column(accepted.schema.get_field_index("_watermark"), "_watermark", column), after


def _by_place(events: pa.Table) -> dict[str, Ints]:
    sources = events.column("_source").combine_chunks().dictionary_encode()
    partitions, codes = integers(events.column("_partition"))[0], integers(sources.indices)[0]
    pairs, place = np.unique(np.stack([codes, partitions]), axis=1, return_inverse=True)
    names = [f"{sources.dictionary[code].as_py()}/{partition}" for code, partition in pairs.T.tolist()]
    return {name: np.flatnonzero(place == index) for index, name in enumerate(names)}
