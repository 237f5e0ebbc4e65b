"""A vacuum takes what no kept version names, and nothing that a model, K, a publication or a running job needs."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.declare.durations import DAY
from sluice.declare.loading import load_pipeline
from sluice.errors import DataError
from sluice.lake.keeping import holds
from sluice.lake.keeping.keep import KEPT, VACUUMED, apply
from sluice.lake.keeping.pins import pins
from sluice.lake.keeping.vacuum import unneeded, vacuum
from sluice.lake.properties import properties
from sluice.lake.publish import commit_folder, recover
from sluice.lake.tables import Lake
from sluice.lake.training_sets import TrainingSet, keep
from tests.sluice.lake import shop
from tests.sluice.lake.test_publish import COMMITS, Killed, batch, mortal, publish, stage, visible

pytestmark = pytest.mark.integration

PIPELINE = load_pipeline(str(Path(__file__).parent / "kept.py"))
AT = 1_767_264_000_000_000
TABLE = "vectors"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Three versions of vectors, each in place of the one before: 0, 1 and 2."""
    lake = Lake(str(tmp_path), "shop")
    for version in range(3):
        write(lake, TABLE, f"backfill-{version}", version)
        commit_folder(lake, TABLE, f"backfill-{version}", markers=[f"m{version}"], replace=True)
    return lake


def write(lake: Lake, table: str, folder: str, number: int) -> Path:
    from sluice.lake.files import write_parquet

    rows = pa.table({"n": [number], "event_time": pa.array([AT], pa.int64())})
    uri = lake.uri(f"{table}/{folder}/0.parquet")
    write_parquet(uri, [rows], rows.schema)
    return Path(uri)


def trained(lake: Lake, version: int, at: int, *, on: int) -> str:
    keep(lake, TrainingSet("shop", str(version), "*", TABLE, on, AT - DAY, AT, "d", at))
    return f"shop/{version}"


def aged(lake: Lake, days: int = 9) -> None:
    """Every file of the lake, written some days ago by the machine's clock; and its commits with them."""
    then = time.time() - days * 86_400
    for file in Path(lake.root).rglob("*"):
        if file.suffix == ".parquet":
            os.utime(file, (then, then))


def taken(lake: Lake, *pinned: int, hours: int = 0) -> list[str]:
    return sorted(file.path for file in vacuum(lake, TABLE, pinned, young_h=hours))


def test_a_version_that_a_model_was_trained_on_is_readable_to_the_byte_and_the_others_are_gone(lake: Lake) -> None:
    file = Path(lake.uri(TABLE), "backfill-1", "0.parquet")
    before = (lake.read(TABLE, version=1), file.read_bytes())
    assert taken(lake, 1) == ["backfill-0/0.parquet"]
    assert (lake.read(TABLE, version=1), file.read_bytes()) == before
    assert lake.read(TABLE).column("n").to_pylist() == [2]
    with pytest.raises(DataError, match="version 0 of 'vectors' cannot be read: files of it are gone"):
        lake.read(TABLE, version=0)


def test_a_version_that_no_model_names_any_more_goes(lake: Lake) -> None:
    """Models are kept for a hundred days; one that answers is kept for as long as it does."""
    young, answering = trained(lake, 2, AT, on=1), trained(lake, 1, AT - 101 * DAY, on=0)
    assert pins(lake, PIPELINE, AT, {answering}) == {TABLE: {0: [answering], 1: [young]}}
    assert pins(lake, PIPELINE, AT, set()) == {TABLE: {1: [young]}}
    assert pins(lake, PIPELINE, AT + 101 * DAY, set()) == {}
    assert taken(lake, *pins(lake, PIPELINE, AT, {answering})[TABLE]) == []
    assert taken(lake, *pins(lake, PIPELINE, AT, set())[TABLE]) == ["backfill-0/0.parquet"]
    assert taken(lake) == ["backfill-1/0.parquet"]


def test_what_was_taken_out_within_a_week_may_still_be_read(lake: Lake) -> None:
    aged(lake)
    assert taken(lake, hours=24 * 7) == []
    assert [lake.read(TABLE, version=version).column("n").to_pylist() for version in range(3)] == [[0], [1], [2]]


def test_no_version_is_added_by_it(lake: Lake) -> None:
    taken(lake)
    assert lake.version(TABLE) == 2


def test_the_files_of_a_running_job_stay_and_those_of_one_that_died_last_week_go(lake: Lake) -> None:
    dead = write(lake, TABLE, "backfill-dead", 7)
    aged(lake)
    alive = write(lake, TABLE, "backfill-alive", 8)
    assert taken(lake, 0, 1, hours=24 * 7) == ["backfill-dead/0.parquet"]
    assert (alive.exists(), dead.exists()) == (True, False)


@pytest.mark.parametrize("commits", range(1, COMMITS))
def test_a_publication_that_was_announced_can_be_completed_however_late(tmp_path: Path, commits: int) -> None:
    lake = Lake(str(tmp_path), "shop")
    publish(lake, batch("before"), stage(lake, "before"))
    with pytest.raises(Killed):
        publish(mortal(lake, commits), batch("a"), stage(lake, "a"))
    stage(lake, "never-announced")
    aged(lake)
    apply(lake, shop.pipeline, AT, ())
    recover(lake, "orders")
    assert visible(lake) == dict.fromkeys(("quarantine", "conflicts", "late", "silver"), 2)
    assert not list(tmp_path.rglob("staged-never-announced/*"))


@pytest.mark.parametrize("table", ["batches", "asof/holidays"])
def test_every_version_that_k_may_name_stays(tmp_path: Path, table: str) -> None:
    lake = Lake(str(tmp_path), "shop")
    for number in range(12):
        lake.append(table, pa.table({"n": [number], "stream": ["x"], "batch": [str(number)], "at": [number]}))
    aged(lake)
    apply(lake, PIPELINE, AT, ())
    assert [lake.read(table, version=version).num_rows for version in range(12)] == list(range(1, 13))
    assert properties(table)


def test_what_killed_runs_have_left_beside_the_tables_goes_after_a_week(lake: Lake) -> None:
    left = write(lake, "work", "staged-dead", 1)
    aged(lake)
    alive = write(lake, "work", "staged-alive", 2)
    told = [(one.table, one.what) for one in apply(lake, PIPELINE, AT, ())]
    assert ("work/staged-dead", VACUUMED) in told
    assert (left.exists(), alive.exists()) == (False, True)


def test_under_a_hold_every_version_of_a_table_stays(lake: Lake) -> None:
    for what in ("vectors", "customer=c1"):
        hold = holds.place(lake, PIPELINE, what, by="Ada", because="a case", at=AT)
        aged(lake)
        told = {one.table: one for one in apply(lake, PIPELINE, AT, ())}
        assert (told[TABLE].what, "every version stays" in told[TABLE].because) == (KEPT, True)
        holds.lift(lake, hold.hold, by="Ada", because="it is closed", at=AT)
    assert len(unneeded(lake, TABLE, (), young_h=0)) == 2
