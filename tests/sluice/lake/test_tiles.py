"""Tiles of a bucket after any backfills: the newest of an entity stand, and the bucket has few files."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice import Integer, Key, Label, Pipeline, Stream, Windows, count
from sluice.declare.durations import HOUR, MINUTE
from sluice.engine.build import build, opened
from sluice.engine.encode import Mask
from sluice.engine.history import keep, rows
from sluice.errors import DataError
from sluice.lake import tiles
from sluice.lake.files import actions_of, create_table, exchange_files, read_file
from sluice.lake.forgetting.tiles import renew
from sluice.lake.properties import properties
from sluice.lake.tables import Lake
from sluice.lake.tiles import Stamp, standing, tile_table
from tests.properties import examples
from tests.sluice.engine.oracle import Version
from tests.sluice.engine.worlds import START, tables

pytestmark = pytest.mark.unit

EVENTS = Stream("events", id="event_id", time="at", columns={"key": Key(), "size": Integer(min=0, max=9)})
HOURLY = Windows("hourly", of="key", over=EVENTS, features=[count("1h")])
LIFELONG = Windows("lifelong", of="key", over=EVENTS, features=[count("1h", "lifetime")])
PIPELINE = Pipeline("pipe", views=[HOURLY, LIFELONG], label=Label("seen", of=EVENTS, column="seen", known_after="1h"))
AT = START + 100 * HOUR


def rows_of(view: Windows, times: dict[int, list[int]]) -> pa.Table:
    """Rows of some keys at some minutes after `AT`."""
    made = [
        Version("events", 1_000 * key + number, AT + minute * MINUTE, {"key": key, "size": 1}, 0)
        for key, minutes in times.items()
        for number, minute in enumerate(minutes)
    ]
    return rows(view, tables(PIPELINE, made), kept=keep(PIPELINE))


class Kept:
    """The tiles of one view in a lake, by backfills that are numbered."""

    def __init__(self, folder: Path, view: Windows) -> None:
        self.lake, self.view, self.number = Lake(str(folder), "pipe"), view, 0

    def add(self, times: dict[int, list[int]], *, at: int = AT, part: int = 0) -> list[str]:
        """Lay out what some keys have now, and nothing else of theirs; the files that are replaced."""
        self.number += 1
        table, path = tile_table(self.view), f"run-{self.number}/{part:05}.parquet"
        uri, stamp = f"{self.lake.uri(table)}/{path}", Stamp(self.number, at)
        built = build(self.view, rows_of(self.view, times), since=at - self.view.horizon)
        held = self.lake.open(table)
        if held is None:
            tiles.lay(uri, part, stamp, built)
            actions, schema = actions_of(self.lake.uri(table), [path])
            create_table(self.lake.uri(table), schema or pa.schema([]), actions, [], properties(table))
            return []
        keys = pa.array(sorted(times), pa.int64())
        found = tiles.bucket(self.lake, self.view, part, keys)
        tiles.renew(uri, self.view, part, stamp, keys, found, built)
        actions, _ = actions_of(self.lake.uri(table), [path])
        self.lake.commit(table, lambda now: exchange_files(now, actions, found.replaced, []) if now else None)
        return found.replaced

    def minutes(self) -> dict[int, list[int]]:
        """What stands, by key."""
        found: dict[int, list[int]] = {}
        for row in opened(self.view, standing(self.lake, self.view)).rows.sort_by("time").to_pylist():
            found.setdefault(row["key"], []).append((row["time"] - AT) // MINUTE)
        return found

    def only_tile(self) -> pa.Table:
        """The file that has one tile."""
        held = self.lake.open(tile_table(self.view))
        assert held is not None
        (path,) = pa.table(held.get_add_actions()).filter(pc.field("num_records") == 1).column("path").to_pylist()
        return read_file(f"{self.lake.uri(tile_table(self.view))}/{path}")

    def sizes(self) -> list[int]:
        """The rows of the files, ascending."""
        held = self.lake.open(tile_table(self.view))
        assert held is not None
        return sorted(pa.table(held.get_add_actions()).column("num_records").to_pylist())


@pytest.fixture
def hourly(tmp_path: Path) -> Kept:
    made = Kept(tmp_path, HOURLY)
    made.add({key: [-key] for key in range(40)})
    return made


def test_of_an_entity_the_tiles_of_its_newest_backfill_stand(hourly: Kept) -> None:
    assert hourly.add({3: [-3, -1], 50: [-2]}) == []
    assert hourly.add({3: [-1]}) == ["run-2/00000.parquet"]
    expected = {key: [-key] for key in range(40)} | {3: [-1], 50: [-2]}
    assert hourly.minutes() == expected
    found = tiles.bucket(hourly.lake, HOURLY, 0, pa.array([3, 4, 99]))
    assert sorted(found.held.column("key").to_pylist()) == [3, 4]
    assert sorted(opened(HOURLY, found.held).rows.column("time").to_pylist()) == [AT - 4 * MINUTE, AT - MINUTE]


def test_what_an_entity_does_not_have_any_more_does_not_come_back_from_an_older_file(hourly: Kept) -> None:
    hourly.add({3: []})
    assert 3 not in hourly.minutes()
    assert tiles.bucket(hourly.lake, HOURLY, 0, pa.array([3])).held.column("body").to_pylist() == [None]
    hourly.add({4: [-1]})
    assert 3 not in hourly.minutes()
    hourly.add({key: [-1] for key in range(30, 70)})
    assert hourly.sizes() == [len(hourly.minutes())]


def test_of_two_backfills_of_one_moment_the_later_counts(hourly: Kept) -> None:
    """As when only an as-of table is another: the same rows are computed again."""
    hourly.add({3: [-3]})
    assert hourly.minutes() == {key: [-key] for key in range(40)}
    assert len(standing(hourly.lake, HOURLY)) == 40


def test_tiles_of_before_backfills_had_turns_are_refused_with_what_to_do(hourly: Kept) -> None:
    hourly.lake.append("tiles/lifelong", build(LIFELONG, rows_of(LIFELONG, {1: [0]})))
    with pytest.raises(DataError, match="older version") as refused:
        standing(hourly.lake, LIFELONG)
    assert "features" in refused.value.next_step


@dataclass(frozen=True)
class Of:
    """The tiles of one entity."""

    key: int
    columns: list[str] = field(default_factory=lambda: ["key"])

    def mask(self, rows: pa.Table) -> Mask:
        return np.asarray(pc.equal(rows.column("key"), self.key), bool)


def test_somebody_is_forgotten_from_tiles_of_before_backfills_had_turns(hourly: Kept) -> None:
    """Those of whoever had seen its events go whole: the next backfill computes all of them anew."""
    built = build(LIFELONG, rows_of(LIFELONG, {1: [0], 2: [0]})).select(["key", "start", "body"])
    hourly.lake.append("tiles/lifelong", built)
    assert renew(hourly.lake, LIFELONG, Of(1)).rows == 1
    assert hourly.lake.read("tiles/lifelong").column("key").to_pylist() == [2]


def test_another_bucket_is_neither_looked_at_nor_replaced(hourly: Kept) -> None:
    hourly.add({key: [0] for key in range(100, 140)}, part=1)
    assert len(hourly.sizes()) == 2
    assert len(hourly.minutes()) == 80
    assert tiles.bucket(hourly.lake, HOURLY, 1, pa.array([3])).held.num_rows == 0


def test_whoever_no_window_can_see_any_more_is_left_out_and_goes_when_all_files_become_one(hourly: Kept) -> None:
    """Files of a bucket that nobody touches stay as they are: a day costs nothing for who was not there."""
    later = AT + 60 * MINUTE + HOURLY.horizon - HOUR
    hourly.add({50: [(later - AT) // MINUTE]}, at=later)
    assert sorted(hourly.minutes()) == [0, 50]
    assert sum(hourly.sizes()) == 41
    hourly.add({key: [(later - AT) // MINUTE] for key in range(60, 90)}, at=later)
    assert sorted(hourly.minutes()) == [0, 50, *range(60, 90)]
    assert hourly.sizes() == [32]


def test_what_a_lifetime_window_has_of_an_entity_stays_for_ever(tmp_path: Path) -> None:
    kept = Kept(tmp_path, LIFELONG)
    kept.add({key: [0] for key in range(10)})
    kept.add({50: []}, at=AT + 100 * LIFELONG.horizon)
    kept.add({key: [] for key in range(60, 90)}, at=AT + 100 * LIFELONG.horizon)
    assert sorted(set(standing(kept.lake, LIFELONG).column("key").to_pylist())) == list(range(10))


def test_old_rows_go_out_of_the_tiles_of_a_file_and_nothing_else(hourly: Kept) -> None:
    hourly.add({3: [-50, -3]})
    held = hourly.only_tile()
    left = tiles.without_old(hourly.lake, HOURLY, AT - 49 * MINUTE, held, np.array([True]))
    assert opened(HOURLY, left).rows.column("time").to_pylist() == [AT - 3 * MINUTE]
    columns = ["part", "turn", "at"]
    assert left.select(columns).to_pylist() == held.select(columns).to_pylist()
    assert tiles.without_old(hourly.lake, HOURLY, AT, held, np.array([True])).num_rows == 0
    assert tiles.without_old(hourly.lake, HOURLY, AT, held, np.array([False])).to_pylist() == held.to_pylist()


def test_what_was_there_before_does_not_come_back_when_what_came_after_it_is_old(hourly: Kept) -> None:
    """Three minutes ago there was an event of the third, which was taken back; one of before has come instead."""
    hourly.add({3: [-50]})
    held = hourly.only_tile()
    left = tiles.without_old(hourly.lake, HOURLY, AT - 10 * MINUTE, held, np.array([True]))
    assert left.select(["key", "body", "turn"]).to_pylist() == [{"key": 3, "body": None, "turn": 2}]


def test_a_busy_entity_of_many_tiles_leaves_few_files(tmp_path: Path) -> None:
    """It is one of the entities that come, and its file is big all the same."""
    view = replace(HOURLY, leaf=1)
    kept = Kept(tmp_path, view)
    kept.add({key: [0] for key in range(3)})
    for _ in range(8):
        kept.add({7: list(range(-59, 0))})
    assert sum(kept.sizes()) < 4 * 60
    assert kept.minutes()[7] == list(range(-59, 0))


TOUCHED = st.dictionaries(st.integers(0, 60), st.lists(st.integers(-50, 0), unique=True, max_size=3), max_size=25)


@settings(max_examples=examples(40), deadline=None)
@given(st.dictionaries(st.integers(0, 60), st.just([0]), min_size=1), st.lists(TOUCHED, max_size=8))
def test_after_any_backfills_everybody_has_what_the_last_one_gave_it_in_few_files(
    tmp_path_factory: pytest.TempPathFactory, first: dict[int, list[int]], days: list[dict[int, list[int]]]
) -> None:
    kept, model = Kept(tmp_path_factory.mktemp("lake"), HOURLY), dict(first)
    kept.add(first)
    for touched in filter(None, days):
        kept.add(touched)
        model |= touched
        assert kept.minutes() == {key: sorted(minutes) for key, minutes in model.items() if minutes}
        # all but the last one that was written have twice the rows of all smaller ones
        assert len(kept.sizes()) <= 2 + math.log(sum(kept.sizes()) + 1, 3)
