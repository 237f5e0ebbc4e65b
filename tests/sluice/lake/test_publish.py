"""Publishing: all of a batch or nothing of it, whatever dies and whenever, and one writer at a time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import deltalake
import pyarrow as pa
import pytest

from sluice.decisions import Finding, Verdict
from sluice.errors import Outage
from sluice.lake.files import write_parquet
from sluice.lake.publish import Batch, publish, record_verdict, recover
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit
T = TypeVar("T")

TABLES = ("quarantine", "conflicts", "late", "silver")
COMMITS = len(TABLES) + 2
"""The announcement, one for each table, and the row in `batches`."""


class Killed(BaseException):
    """The process is no more."""


class MortalLake(Lake):
    """A lake whose process dies when it is about to commit for the nth time."""

    def __init__(self, uri: str, pipeline: str, commits: int) -> None:
        super().__init__(uri, pipeline)
        self.left = commits

    def commit(self, table: str, write: Callable[[deltalake.DeltaTable | None], T]) -> T:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().commit(table, write)


def batch(name: str, **changes: Any) -> Batch:
    good: dict[str, Any] = {
        "name": name,
        "stream": "orders",
        "at": 5,
        "rows": 4,
        "accepted": 3,
        "duplicates": 0,
        "conflicts": 1,
        "late": 1,
        "quarantined": {"type": 1},
        "sources": {"kafka:t/0": 9},
        "contract": "c0ffee",
        "renamed": {"amount": "total"},
        "watermarks": {"kafka:t/0": 77},
        "run": "f00d",
    }
    return Batch(**{**good, **changes})


def stage(lake: Lake, name: str) -> dict[str, str]:
    rows = pa.table({"n": [1], "_batch": [name]})
    for table in TABLES:
        write_parquet(lake.uri(f"{table}/orders/staged-{name}/0.parquet"), [rows], rows.schema)
    return {f"{table}/orders": f"staged-{name}" for table in TABLES}


def mortal(lake: Lake, commits: int) -> Lake:
    """The same lake, from a process that dies after some commits."""
    return MortalLake(lake.root.removesuffix("/shop"), "shop", commits)


def visible(lake: Lake) -> dict[str, int]:
    return {table: lake.count(f"{table}/orders") for table in TABLES}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "shop")


def test_a_published_batch_is_told_as_it_was_judged(lake: Lake) -> None:
    publish(lake, batch("a"), stage(lake, "a"))
    (row,) = lake.published("orders")
    assert row == {
        "batch": "a",
        "stream": "orders",
        "at": 5,
        "rows": 4,
        "accepted": 3,
        "duplicates": 0,
        "conflicts": 1,
        "late": 1,
        "quarantined": '{"type": 1}',
        "sources": '{"kafka:t/0": 9}',
        "contract": "c0ffee",
        "renamed": '{"amount": "total"}',
        "silver_version": 0,
        "watermarks": '{"kafka:t/0": 77}',
        "run": "f00d",
    }
    assert visible(lake) == dict.fromkeys(TABLES, 1)
    assert (lake.reached("orders"), lake.watermarks("orders")) == ({"kafka:t/0": 9}, {"kafka:t/0": 77})


@pytest.mark.parametrize("commits", range(COMMITS + 1))
def test_after_a_death_between_any_two_commits_readers_see_nothing_and_recovery_completes_it(
    lake: Lake, commits: int
) -> None:
    publish(lake, batch("before"), stage(lake, "before"))
    staged = stage(lake, "a")
    died = False
    try:
        publish(mortal(lake, commits), batch("a"), staged)
    except Killed:
        died = True
    assert died == (commits < COMMITS)
    assert visible(lake) == dict.fromkeys(TABLES, 1 if died else 2)

    recover(lake, "orders")
    announced = commits > 0
    assert visible(lake) == dict.fromkeys(TABLES, 2 if announced else 1)
    assert [row["batch"] for row in lake.published("orders")] == (["a", "before"] if announced else ["before"])
    recover(lake, "orders")
    assert visible(lake) == dict.fromkeys(TABLES, 2 if announced else 1)


def test_recovery_that_dies_is_recovered_from(lake: Lake) -> None:
    with pytest.raises(Killed):
        publish(mortal(lake, 1), batch("a"), stage(lake, "a"))
    for commits in range(COMMITS - 1):
        with pytest.raises(Killed):
            recover(mortal(lake, commits), "orders")
        assert visible(lake) == dict.fromkeys(TABLES, 0)
    recover(lake, "orders")
    assert visible(lake) == dict.fromkeys(TABLES, 1)


def test_recovery_completes_one_stream_and_leaves_the_others(lake: Lake) -> None:
    with pytest.raises(Killed):
        publish(mortal(lake, 1), batch("a"), stage(lake, "a"))
    assert recover(lake, "returns") == 0
    assert visible(lake) == dict.fromkeys(TABLES, 0)
    assert recover(lake, "orders") == 1
    assert visible(lake) == dict.fromkeys(TABLES, 1)


def test_a_batch_judged_before_another_was_published_is_not_published(lake: Lake) -> None:
    turn = recover(lake, "orders")
    publish(lake, batch("faster"), stage(lake, "faster"), turn=turn)
    with pytest.raises(Outage, match="another process has moved 'stream:orders' from None to 1"):
        publish(lake, batch("slower"), stage(lake, "slower"), turn=turn)
    publish(lake, batch("elsewhere", stream="returns"), {}, turn=recover(lake, "returns"))
    assert [row["batch"] for row in lake.published("orders")] == ["faster"]
    publish(lake, batch("slower"), stage(lake, "slower"), turn=recover(lake, "orders"))
    assert visible(lake) == dict.fromkeys(TABLES, 2)


def test_a_batch_without_rows_is_shown_all_the_same(lake: Lake) -> None:
    publish(lake, batch("a", rows=0), {})
    assert lake.published("orders")[0]["silver_version"] == -1


def test_a_verdict_is_recorded_once_for_each_attempt(lake: Lake) -> None:
    stop = [Finding("count", Verdict.PASS, "4 rows", {"rows": 4}), Finding("freshness", Verdict.STOP, "old", {})]
    mended = [Finding("count", Verdict.WARN, "few", {}), Finding("freshness", Verdict.PASS, "new", {})]
    assert record_verdict(lake, batch("a"), stop) is Verdict.STOP
    assert record_verdict(lake, batch("a"), stop) is Verdict.STOP
    assert record_verdict(lake, batch("a"), mended) is Verdict.WARN
    found = [(row["batch"], row["stream"], row["at"], row["rule"], row["verdict"]) for row in lake.rows("verdicts")]
    assert sorted(found) == [
        ("a", "orders", 5, "count", "pass"),
        ("a", "orders", 5, "count", "warn"),
        ("a", "orders", 5, "freshness", "pass"),
        ("a", "orders", 5, "freshness", "stop"),
    ]
    assert lake.rows("verdicts")[0]["rows"] == 4
