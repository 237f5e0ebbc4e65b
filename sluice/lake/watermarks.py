"""The watermark an event of a topic is met with: the greatest accepted event time at smaller offsets of its partition.

An event that is older than that by more than a view's horizon has expired for the view, wherever it is computed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.engine.encode import Ints, integers
from sluice.lake.contract import ERASED

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


def with_erased(accepted: pa.Table, before: Mapping[str, int], bronze: pa.Table) -> tuple[pa.Table, dict[str, int]]:
    """The same, where the events were met among raw ones of which some were erased, and have their time alone.

    An event that came later is as late as it was.
    """
    moved = bronze.filter((pc.field("op") == ERASED) & pc.field("known").is_valid())
    if not len(moved):
        return with_watermarks(accepted, before)
    place = {f"_{name}": moved.column(name) for name in ("source", "partition", "position")}
    nulls = {field.name: pa.nulls(len(moved), field.type) for field in accepted.schema}
    times = pa.table({**nulls, **place, "_time": moved.column("known")}, schema=accepted.schema)
    order = [("_source", "ascending"), ("_partition", "ascending"), ("_position", "ascending")]
    marked, after = with_watermarks(pa.concat_tables([accepted, times]).sort_by(order), before)
    return marked.filter(marked.column("_id").is_valid()), after


def _by_place(events: pa.Table) -> dict[str, Ints]:
    sources = events.column("_source").combine_chunks().dictionary_encode()
    partitions, codes = integers(events.column("_partition"))[0], integers(sources.indices)[0]
    pairs, place = np.unique(np.stack([codes, partitions]), axis=1, return_inverse=True)
    names = [f"{sources.dictionary[code].as_py()}/{partition}" for code, partition in pairs.T.tolist()]
    return {name: np.flatnonzero(place == index) for index, name in enumerate(names)}
