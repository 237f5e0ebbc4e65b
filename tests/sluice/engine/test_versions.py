"""What became of versions, counted: every row once, whatever meets."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.engine.versions import DELETE, PUT, fates, settled

pytestmark = pytest.mark.unit

VERSION = st.tuples(st.integers(0, 5), st.integers(0, 2), st.integers(-1, 1), st.sampled_from([PUT, DELETE]))
"""Id, revision, hash and operation of a version."""


def table(rows: list[tuple[int, int, int, int]], ids: pa.DataType) -> pa.Table:
    columns = dict(zip(("_id", "_revision", "_hash", "_op"), zip(*rows, strict=True), strict=True)) if rows else {}
    types = {"_id": pa.int64(), "_revision": pa.int32(), "_hash": pa.int64(), "_op": pa.int8()}
    found = {name: pa.array(columns.get(name, ()), kind) for name, kind in types.items()}
    found["_id"] = found["_id"].cast(ids)
    return pa.table({**found, "_known": pa.array([0] * len(rows)), "_watermark": pa.nulls(len(rows), pa.int64())})


def told(rows: list[tuple[int, int, int, int]]) -> dict[str, int]:
    """The same, one row after the other."""
    by_id = defaultdict(list)
    for row in rows:
        by_id[row[0]].append(row)
    found = dict.fromkeys(("events", "deleted", "replaced", "conflicts", "copies"), 0)
    for mine in by_id.values():
        standing = max(mine, key=lambda row: (row[1], row[2] % 2**64, row[3]))
        found["deleted" if standing[3] == DELETE else "events"] += 1
        seen: set[tuple[int, ...]] = set()
        for row in sorted(mine, key=lambda row: row != standing):
            if row in seen:
                found["copies"] += 1
            elif any(other[1] == row[1] for other in seen):
                found["conflicts"] += 1
            elif seen:
                found["replaced"] += 1
            seen.add(row)
    return found


@given(st.lists(VERSION, max_size=12), st.sampled_from([pa.int64(), pa.string()]))
def test_every_version_meets_one_fate(rows: list[tuple[int, int, int, int]], ids: pa.DataType) -> None:
    events = table(rows, ids)
    found = fates(events, settled(events))
    assert found == told(rows)
    assert sum(found.values()) == len(rows)


def test_events_with_distinct_ids_are_counted_without_looking_at_their_versions() -> None:
    events = pa.table({"nothing": [1, 2, 3]})
    assert fates(events, events) == {"events": 3, "deleted": 0, "replaced": 0, "conflicts": 0, "copies": 0}
