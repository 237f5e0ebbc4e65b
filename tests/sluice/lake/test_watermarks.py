"""Watermarks: the greatest accepted event time at smaller offsets of the partition, wherever batches begin."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.lake.contract import ERASED
from sluice.lake.watermarks import with_erased, with_watermarks

pytestmark = pytest.mark.unit

EVENT = st.tuples(st.sampled_from(["kafka:a", "kafka:b"]), st.integers(0, 1), st.integers(-50, 50))


def table(events: list[tuple[str, int, int]]) -> pa.Table:
    columns = list(zip(*events, strict=True)) or [(), (), ()]
    return pa.table(
        {
            "_source": pa.array(columns[0], pa.string()),
            "_partition": pa.array(columns[1], pa.int32()),
            "_time": pa.array(columns[2], pa.int64()),
            "_watermark": pa.nulls(len(events), pa.int64()),
        }
    )


def test_an_event_meets_the_greatest_time_before_it() -> None:
    events = [("kafka:t", 0, time) for time in (10, 30, 20, 40, 35)]
    marked, after = with_watermarks(table(events), {})
    assert marked.column("_watermark").to_pylist() == [None, 10, 30, 30, 40]
    assert after == {"kafka:t/0": 40}


def test_partitions_and_sources_are_apart_and_go_on_where_they_were() -> None:
    events = [("kafka:a", 0, 5), ("kafka:a", 1, 3), ("kafka:b", 0, 4), ("kafka:a", 0, 1)]
    marked, after = with_watermarks(table(events), {"kafka:a/1": 9, "kafka:c/0": 2})
    assert marked.column("_watermark").to_pylist() == [None, 9, None, 5]
    assert after == {"kafka:a/0": 5, "kafka:a/1": 9, "kafka:b/0": 4, "kafka:c/0": 2}


def test_no_events_move_nothing() -> None:
    marked, after = with_watermarks(table([]), {"kafka:a/0": 1})
    assert (len(marked), after) == (0, {"kafka:a/0": 1})


def test_an_event_is_as_late_as_it_was_when_one_before_it_has_been_erased() -> None:
    events = [("kafka:t", 0, time) for time in (10, 30, 20, 40, 35)]
    placed = table(events).append_column("_position", pa.array(range(5))).append_column("_id", pa.array(range(5)))
    own = {"source": ["kafka:t"], "partition": pa.array([0], pa.int32()), "position": [1]}
    bronze = pa.table({**own, "op": pa.array([ERASED], pa.int8()), "known": [30]})
    left = placed.filter(pa.array([True, False, True, True, True]))
    marked, after = with_erased(left, {}, bronze)
    assert marked.column("_id").to_pylist() == [0, 2, 3, 4]
    assert marked.column("_watermark").to_pylist() == [None, 30, 30, 40]
    assert after == {"kafka:t/0": 40}
    nothing = bronze.set_column(4, "known", pa.nulls(1, pa.int64()))
    assert with_erased(left, {}, nothing)[0].column("_watermark").to_pylist() == [None, 10, 20, 40]


@given(st.lists(EVENT, max_size=20), st.integers(0, 20))
def test_it_does_not_matter_where_a_batch_begins(events: list[tuple[str, int, int]], cut: int) -> None:
    whole, after = with_watermarks(table(events), {})
    first, between = with_watermarks(table(events[:cut]), {})
    second, last = with_watermarks(table(events[cut:]), between)
    assert whole.equals(pa.concat_tables([first, second]))
    assert after == last
    seen: dict[tuple[str, int], int] = {}
    for (source, partition, time), mark in zip(events, whole.column("_watermark").to_pylist(), strict=True):
        assert mark == seen.get((source, partition))
        seen[source, partition] = max(time, seen.get((source, partition), time))
