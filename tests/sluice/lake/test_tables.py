"""The lake's tables: what readers see, appending once, and two processes at the same time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from sluice.errors import DataError, Outage
from sluice.lake.publish import BATCHES
from sluice.lake.storage import options
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit

NUMBERS = pa.table({"n": [1, 2]})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def show(lake: Lake, batch: str, stream: str = "orders", at: int = 0, **columns: Any) -> None:
    row = {"batch": batch, "stream": stream, "at": at, "sources": "{}", "watermarks": "{}", **columns}
    lake.append_rows("batches", [row], BATCHES)


def at_once(work: Callable[[], Any], times: int = 5) -> list[Any]:
    """What several threads get who start together: a result, or the error's type."""
    barrier, results = threading.Barrier(times), []

    def run() -> None:
        barrier.wait()
        try:
            results.append(work())
        except Outage as error:
            results.append(type(error))

    threads = [threading.Thread(target=run) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_nothing_is_there_before_somebody_writes(lake: Lake) -> None:
    assert (lake.open("x"), lake.version("x"), lake.rows("x"), lake.count("x"), list(lake.scan("x"))) == (
        None,
        -1,
        [],
        0,
        [],
    )
    for version in (None, -1):
        with pytest.raises(DataError, match="there is no table 'x'"):
            lake.read("x", version=version)


def tidied_years_later(lake: Lake, table: str) -> None:
    """What any writer of Delta does by itself: a checkpoint, and commits that are too old go."""
    found = DeltaTable(lake.uri(table))
    found.create_checkpoint()
    for commit in Path(lake.uri(table), "_delta_log").iterdir():
        os.utime(commit, (0, 10**9))
    found.cleanup_metadata()


@pytest.mark.parametrize("table", ["batches", "vectors", "vectors_as_served", "asof/holidays"])
def test_a_version_that_others_name_can_be_read_for_ever(lake: Lake, table: str) -> None:
    for number in range(3):
        lake.append(table, pa.table({"n": [number]}))
    tidied_years_later(lake, table)
    assert lake.read(table, version=0).to_pylist() == [{"n": 0}]
    with pytest.raises(DeltaError, match="retention"):
        DeltaTable(lake.uri(table)).vacuum(retention_hours=24 * 365 * 50)


def test_of_other_tables_only_the_newest_versions_stay(lake: Lake) -> None:
    for number in range(3):
        lake.append("drift", pa.table({"n": [number]}))
    tidied_years_later(lake, "drift")
    assert lake.read("drift").num_rows == 3
    with pytest.raises(DataError, match="there is no table 'drift@0'"):
        lake.read("drift", version=0)


@pytest.mark.parametrize("table", ["silver/orders", "quarantine/orders", "conflicts/orders", "late/orders"])
def test_rows_are_there_when_their_batch_is_shown_and_not_before(lake: Lake, table: str) -> None:
    lake.append(table, pa.table({"n": [1, 2], "_batch": ["a", "b"]}))
    assert lake.rows(table) == []
    show(lake, "b", stream="returns")
    assert lake.count(table) == 0
    show(lake, "b")
    assert lake.read(table, columns=["n"]).to_pylist() == [{"n": 2}]
    assert [batch.to_pylist() for batch in lake.scan(table, columns=["n"]) if len(batch)] == [[{"n": 2}]]


def test_a_filter_narrows_what_is_published(lake: Lake) -> None:
    lake.append("silver/orders", pa.table({"n": [1, 2, 3], "_batch": ["a", "b", "b"]}))
    show(lake, "b")
    assert lake.rows("silver/orders", where=ds.field("n") < 3) == [{"n": 2, "_batch": "b"}]


def test_other_tables_are_read_whole_and_as_of_a_version(lake: Lake) -> None:
    lake.append("predictions", NUMBERS)
    lake.append("predictions", NUMBERS)
    assert [len(lake.read("predictions", version=version)) for version in (0, 1)] == [2, 4]


def test_any_delta_reader_reads_the_same_files(lake: Lake) -> None:
    lake.append("predictions", NUMBERS)
    assert DeltaTable(lake.uri("predictions"), storage_options=options(lake.root)).count() == 2


def test_a_marked_append_happens_once(lake: Lake) -> None:
    assert [lake.append("x", NUMBERS, once="m"), lake.append("x", NUMBERS, once="m")] == [True, False]
    assert lake.append("x", NUMBERS, once="other")
    assert lake.append("x", NUMBERS)
    assert lake.count("x") == 6


def test_no_rows_are_no_commit(lake: Lake) -> None:
    assert not lake.append_rows("x", [], NUMBERS.schema)
    assert lake.version("x") == -1


def test_a_new_column_is_null_in_the_rows_before_it(lake: Lake) -> None:
    lake.append("x", NUMBERS)
    lake.append("x", pa.table({"n": [3], "m": ["new"]}))
    assert sorted(lake.rows("x"), key=lambda row: row["n"])[1:] == [{"n": 2, "m": None}, {"n": 3, "m": "new"}]


@pytest.mark.parametrize("there", [False, True])
def test_of_several_processes_that_append_once_one_does(lake: Lake, there: bool) -> None:
    if there:
        lake.append("x", NUMBERS)
    results = at_once(lambda: Lake(lake.root.removesuffix("/shop"), "shop").append("x", NUMBERS, once="m"))
    assert sorted(results) == [False, False, False, False, True]
    assert lake.count("x") == (4 if there else 2)


def test_several_processes_append_at_the_same_time(lake: Lake) -> None:
    assert at_once(lambda: lake.append("x", NUMBERS)) == [True] * 5
    assert lake.count("x") == 10


def test_an_application_moves_on_from_where_it_stands(lake: Lake) -> None:
    lake.append_moving("x", NUMBERS, "archive", None, 10)
    lake.append_reaching("x", NUMBERS, "archive", 20)
    assert lake.reached_by("x", "archive") == 20
    assert lake.reached_by("x", "other") is None
    with pytest.raises(Outage, match="another process has moved 'archive' from 10 to 20"):
        lake.append_moving("x", NUMBERS, "archive", 10, 30)
    assert lake.count("x") == 4


def test_of_several_processes_that_move_an_application_one_does(lake: Lake) -> None:
    results = at_once(lambda: lake.append_moving("x", NUMBERS, "archive", None, 10))
    assert sorted(results, key=str) == [Outage] * 4 + [None]
    assert lake.count("x") == 2


def test_positions_and_watermarks_are_the_greatest_of_the_published_batches(lake: Lake) -> None:
    show(lake, "a", sources=json.dumps({"kafka:t/0": 5, "kafka:t/1": 9}), watermarks=json.dumps({"kafka:t/0": 50}))
    show(lake, "b", sources=json.dumps({"kafka:t/0": 3, "file:x/0": 7}), watermarks=None)
    show(lake, "c", stream="returns", sources=json.dumps({"kafka:t/0": 99}))
    assert lake.reached("orders") == {"kafka:t/0": 5, "kafka:t/1": 9, "file:x/0": 7}
    assert lake.watermarks("orders") == {"kafka:t/0": 50}
    assert lake.reached("nothing") == {}


def test_published_batches_are_told_oldest_first(lake: Lake) -> None:
    for batch, at in (("z", 1), ("a", 2), ("b", 1)):
        show(lake, batch, at=at)
    assert [batch["batch"] for batch in lake.published("orders")] == ["b", "z", "a"]
    assert (lake.shows("orders", "z"), lake.shows("returns", "z"), lake.shows("orders", "y")) == (True, False, False)
