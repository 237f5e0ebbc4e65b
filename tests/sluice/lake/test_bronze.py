"""What a delivery has to judge, cut into slices that hold every row once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sluice.lake.bronze import Place, Slice, gaps, read_slice, slices, waiting
from sluice.lake.contract import BRONZE
from sluice.lake.delivery import Delivery
from sluice.lake.publish import BATCHES
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit

FILE = str(Path(__file__).with_name("shop.py"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def put(lake: Lake, source: str, positions: range, *, partition: int = 0, batch: str = "") -> None:
    count = len(positions)
    columns = {
        "payload": [b"{}"] * count,
        "source": [source] * count,
        "partition": [partition] * count,
        "position": positions,
        "known": [0] * count,
        "revision": [0] * count,
        "op": [0] * count,
        "batch": [batch] * count,
    }
    lake.append("events/orders", pa.table(columns, BRONZE))


def groups(lake: Lake, **how: Any) -> list[list[Slice]]:
    delivery = Delivery(FILE, lake.root.removesuffix("/shop"), how.pop("batch", "b"), 0, **how)
    return slices(waiting(lake, "orders", delivery), delivery)


def places(lake: Lake, found: list[list[Slice]]) -> list[list[list[tuple[str, int, int]]]]:
    """The (source, partition, position) of every row of every slice of every group."""
    read = [
        [read_slice(lake, "orders", one).select(["source", "partition", "position"]) for one in group]
        for group in found
    ]
    return [[[tuple(row.values()) for row in rows.to_pylist()] for rows in group] for group in read]


def test_nothing_waits_where_nothing_is(lake: Lake) -> None:
    assert groups(lake) == []
    assert groups(lake, from_bronze=True) == []


def test_small_files_are_judged_together_and_big_ones_in_pieces_that_any_worker_takes(lake: Lake) -> None:
    for name, count in (("a", 3), ("b", 2), ("c", 7), ("d", 1)):
        put(lake, f"file:{name}", range(count), batch="b")
    put(lake, "file:e", range(9), batch="other")
    put(lake, "kafka:shop.orders", range(9))
    found = groups(lake, rows_per_task=5)
    assert [len(group) for group in found] == [1] * len(found)
    sizes = [len(rows) for group in places(lake, found) for rows in group]
    assert sizes == [5, 5, 2, 1]
    every = [place for group in places(lake, found) for rows in group for place in rows]
    assert sorted(every) == [
        (f"file:{name}", 0, n) for name, count in (("a", 3), ("b", 2), ("c", 7), ("d", 1)) for n in range(count)
    ]
    assert [one.index for group in found for one in group] == [0, 1, 2, 3]


def test_a_partition_of_a_topic_is_one_group_in_order_of_position(lake: Lake) -> None:
    put(lake, "kafka:shop.orders", range(3, 6))
    put(lake, "kafka:shop.orders", range(3))
    put(lake, "kafka:shop.orders", range(4), partition=1)
    put(lake, "file:a", range(5), batch="b")
    found = groups(lake, from_bronze=True, rows_per_task=4)
    source = "kafka:shop.orders"
    assert places(lake, found) == [
        [[(source, 0, 0), (source, 0, 1), (source, 0, 2), (source, 0, 3)], [(source, 0, 4), (source, 0, 5)]],
        [[(source, 1, 0), (source, 1, 1), (source, 1, 2), (source, 1, 3)]],
    ]
    assert [one.index for group in found for one in group] == [0, 1, 2]


def test_what_a_published_batch_reached_does_not_wait(lake: Lake) -> None:
    put(lake, "kafka:shop.orders", range(10))
    put(lake, "kafka:shop.orders", range(2), partition=1)
    row = {"batch": "a", "stream": "orders", "at": 0, "sources": '{"kafka:shop.orders/0": 7, "kafka:shop.orders/1": 1}'}
    lake.append_rows("batches", [row], BATCHES)
    found = groups(lake, from_bronze=True)
    assert places(lake, found) == [[[("kafka:shop.orders", 0, 8), ("kafka:shop.orders", 0, 9)]]]


@pytest.mark.parametrize(
    ("places", "reached", "told"),
    [
        ([Place("kafka:t", 0, 0, 9, 10)], {}, []),
        ([Place("kafka:t", 0, 10, 19, 10)], {"kafka:t/0": 9}, []),
        ([Place("kafka:t", 0, 12, 19, 8)], {"kafka:t/0": 9}, ["positions 10 to 11 of kafka:t/0 are not there"]),
        ([Place("kafka:t", 1, 12, 19, 8)], {"kafka:t/0": 9}, []),
        ([Place("kafka:t", 0, 0, 9, 7)], {}, ["3 positions of kafka:t/0 between 0 and 9 are not there"]),
    ],
)
def test_positions_that_are_not_there_are_told(places: list[Place], reached: dict[str, int], told: list[str]) -> None:
    assert gaps(places, reached) == told
