"""Compaction changes no row, no bit and no version that is named, beside a writer and however it dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import deltalake
import pyarrow as pa
import pytest

from sluice.lake.contract import BRONZE
from sluice.lake.keeping.compaction import compact, pack_books, small
from sluice.lake.keeping.present import files
from sluice.lake.keeping.vacuum import vacuum
from sluice.lake.tables import Lake

pytestmark = pytest.mark.integration

TABLE = "events/orders"
MANY = 12


def archived(position: int) -> pa.Table:
    """One record as the archive keeps it."""
    row = {
        "payload": f'{{"n": {position}}}'.encode(),
        "source": "kafka:shop.orders",
        "partition": 0,
        "position": position,
        "known": position,
        "revision": 0,
        "op": 0,
        "batch": "",
    }
    return pa.Table.from_pylist([row], schema=BRONZE)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A dozen commits of the archive, one record in each."""
    lake = Lake(str(tmp_path), "shop")
    for position in range(MANY):
        lake.append_reaching(TABLE, archived(position), "archive:shop.orders/0", position)
    return lake


def count(lake: Lake, table: str = TABLE) -> int:
    held = lake.open(table)
    assert held is not None
    return len(files(held))


def rows(lake: Lake, version: int | None = None) -> pa.Table:
    return lake.read(TABLE, version=version).sort_by("position")


def test_few_files_hold_the_same_rows_and_how_far_the_archive_has_come(lake: Lake) -> None:
    before = rows(lake)
    assert len(small(lake, TABLE)) == MANY
    assert compact(lake, TABLE) == MANY
    assert count(lake) == 1
    assert rows(lake).equals(before)
    assert lake.reached_by(TABLE, "archive:shop.orders/0") == MANY - 1


def test_books_are_packed_when_they_are_full_and_say_what_they_said(lake: Lake) -> None:
    for number in range(20):
        pack_books(lake)
        lake.append("verdicts", pa.table({"batch": [f"{number:02}"]}))
    assert count(lake, "verdicts") == 20
    pack_books(lake)
    assert (count(lake, "verdicts"), count(lake)) == (1, MANY)
    assert sorted(row["batch"] for row in lake.rows("verdicts")) == [f"{number:02}" for number in range(20)]
    assert [row["batch"] for row in lake.read("verdicts", version=2).sort_by("batch").to_pylist()] == ["00", "01", "02"]


def test_every_version_is_what_it_was(lake: Lake) -> None:
    before = {version: rows(lake, version) for version in range(MANY)}
    compact(lake, TABLE)
    assert all(rows(lake, version).equals(table) for version, table in before.items())


def test_readers_still_skip_files_by_position(lake: Lake) -> None:
    compact(lake, TABLE)
    held = lake.open(TABLE)
    assert held is not None
    (bounds,) = pa.table(held.get_add_actions(flatten=True)).to_pylist()
    assert (bounds["min.position"], bounds["max.position"]) == (0, MANY - 1)
    assert (bounds["min.source"], bounds["null_count.known"]) == ("kafka:shop.orders", 0)


def test_a_second_time_and_for_few_files_there_is_nothing_to_do(lake: Lake) -> None:
    compact(lake, TABLE)
    version = lake.version(TABLE)
    assert (compact(lake, TABLE), lake.version(TABLE)) == (0, version)
    assert compact(lake, "nobody/wrote") == 0


@pytest.mark.parametrize("table", ["vectors", "vectors_as_served", "rows/buying", "tiles/buying", "asof/holidays"])
def test_files_that_are_laid_out_on_purpose_stay_as_they_are(lake: Lake, table: str) -> None:
    for position in range(MANY):
        lake.append(table, archived(position))
    assert (compact(lake, table), count(lake, table)) == (0, MANY)


def test_one_that_dies_before_its_commit_changes_nothing_and_leaves_nothing(lake: Lake) -> None:
    """What it wrote is there and no log names it: until the next vacuum."""
    held = lake.open(TABLE)
    assert held is not None
    before, version = rows(lake), lake.version(TABLE)
    compact(lake, TABLE)
    Path(lake.uri(TABLE), "_delta_log", f"{version + 1:020}.json").unlink()
    assert (lake.version(TABLE), rows(lake).equals(before)) == (version, True)
    assert len(vacuum(lake, TABLE, (), young_h=0)) == 1
    assert rows(lake).equals(before)
    assert compact(lake, TABLE) == MANY
    assert rows(lake).equals(before)


def _archive(root: str, until: int) -> None:
    """What another process archives meanwhile, a commit for each record."""
    lake = Lake(root, "shop")
    for position in range(MANY, until):
        lake.append_reaching(TABLE, archived(position), "archive:shop.orders/0", position)


def test_beside_an_archive_in_another_process_nothing_is_lost_or_doubled(lake: Lake) -> None:
    until = MANY + 60
    writer = multiprocessing.get_context("spawn").Process(
        target=_archive, args=(lake.root.removesuffix("/shop"), until)
    )
    writer.start()
    packed = 0
    while writer.is_alive():
        packed += compact(lake, TABLE)
        time.sleep(0.02)
    writer.join()
    assert writer.exitcode == 0
    compact(lake, TABLE)
    assert packed >= MANY
    assert rows(lake).column("position").to_pylist() == list(range(until))
    assert lake.reached_by(TABLE, "archive:shop.orders/0") == until - 1


def _pack(root: str) -> None:
    lake = Lake(root, "shop")
    while True:
        for position in range(MANY):
            lake.append("audits", archived(position))
        compact(lake, "audits")


def test_one_that_is_killed_at_any_moment_leaves_the_rows(lake: Lake) -> None:
    """A process that appends and packs, killed five times: what was appended is there once each."""
    for number in range(5):
        packer = multiprocessing.get_context("spawn").Process(target=_pack, args=(lake.root.removesuffix("/shop"),))
        packer.start()
        before = lake.version("audits")
        while lake.version("audits") < before + MANY + 3 * number:
            time.sleep(0.01)
        os.kill(int(packer.pid or 0), signal.SIGKILL)
        packer.join()
        held = lake.open("audits")
        assert held is not None
        appended = sum(1 for commit in held.history() if commit["operation"] == "WRITE")
        assert lake.count("audits") == appended


def test_a_table_may_be_compacted_by_others_and_is_read_all_the_same(lake: Lake) -> None:
    deltalake.DeltaTable(lake.uri(TABLE)).optimize.compact()
    assert rows(lake).column("position").to_pylist() == list(range(MANY))
