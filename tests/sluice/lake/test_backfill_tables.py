"""A backfill looks things up at the versions that its plan pins, whatever is loaded meanwhile."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sluice.clock import rfc3339
from sluice.declare.durations import HOUR
from sluice.engine.vectors import vectors
from sluice.engine.versions import settled
from sluice.errors import DataError
from sluice.lake.asof import load, newest, publish
from sluice.lake.asof_rows import judge
from sluice.lake.plan import Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.sluice.stream import priced
from tests.sluice.stream.feeds import START, feed
from tests.sluice.stream.histories import History
from tests.sluice.stream.priced import ROWS, day, pipeline

pytestmark = pytest.mark.integration
FILE = str(priced.__file__)
AT = START + 20 * HOUR
ALL_HOLIDAYS = [day(country, number, 1, 0) for country in ("DE", "FR") for number in range(-9, 9)]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = History(tmp_path_factory.mktemp("ingested"), pipeline, FILE)
    made.deliver("files", feed(seed=31, size=400))
    for table, rows in ROWS.items():
        write(made, table, rows)
    return made.folder


@pytest.fixture
def history(ingested: Path, tmp_path: Path) -> History:
    shutil.copytree(ingested / "lake", tmp_path / "lake")
    return History(tmp_path, pipeline, FILE)


def write(history: History, table: str, rows: list[dict[str, Any]]) -> None:
    declared = pipeline.tables[table]
    publish(history.lake, declared, judge(declared, rows).accepted, source="test", at=AT)


def plan(history: History, parts: int = 3) -> Plan:
    tables = tuple(newest(history.lake, pipeline).items())
    return Plan(FILE, str(history.folder / "lake"), history.lake.version("batches"), AT, parts, asof=tables)


def published(history: History) -> pa.Table:
    return history.lake.read("vectors").sort_by("event_id")


def expected(history: History, versions: dict[str, int]) -> dict[str, list[Any]]:
    """The features by the plainest use of the engine, at versions of the tables."""
    events = dict(history.versions())
    scored = settled(events["payments"]).sort_by("_id")
    found: dict[str, list[Any]] = vectors(pipeline, events, scored, load(history.lake, pipeline, versions)).to_pydict()
    return found


def features(history: History) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = published(history).select([place.name for place in pipeline.features]).to_pydict()
    return found


@pytest.mark.parametrize("parts", [1, 3])
def test_looked_up_features_are_those_of_the_kernel_however_the_work_is_dealt(history: History, parts: int) -> None:
    backfill(Here(), plan(history, parts))
    assert features(history) == expected(history, dict(newest(history.lake, pipeline)))
    assert {0.0, 1.0, None} <= set(features(history)["calendar__is_holiday"])


def test_what_is_loaded_after_the_plan_was_made_does_not_enter_it(history: History) -> None:
    pinned = plan(history)
    write(history, "holidays", ALL_HOLIDAYS)
    backfill(Here(), pinned)
    assert features(history) == expected(history, dict(pinned.asof))
    assert 0.0 in features(history)["calendar__is_holiday"]


def test_a_newer_version_is_another_backfill_and_the_same_ones_are_not(history: History) -> None:
    first, version = plan(history), backfill(Here(), plan(history))
    assert plan(history).name == first.name == replace(first, run="another", parts=1).name
    assert backfill(Here(), plan(history)) == version
    write(history, "holidays", ALL_HOLIDAYS)
    assert plan(history).name != first.name
    assert backfill(Here(), plan(history)) == version + 1
    assert set(features(history)["calendar__is_holiday"]) == {1.0, None}


def test_a_plan_without_a_version_that_is_needed_is_refused_before_any_work(history: History) -> None:
    with pytest.raises(DataError, match="no version of 'asof/holidays' is named"):
        backfill(Here(), replace(plan(history), asof=()))
    with pytest.raises(DataError, match="version 9 of 'asof/terms' cannot be read"):
        backfill(Here(), replace(plan(history), asof=(*plan(history).asof[:2], ("terms", 9))))
    assert list(Path(history.lake.uri("work")).glob("backfill-*")) == []


def test_a_day_goes_on_from_a_backfill_that_only_looked_up_another_version_at_the_same_moment(
    history: History,
) -> None:
    """Some entities have tiles of both, with the same rows: those of the later turn count."""
    turns, told = list[int](), list[str]()

    def computed(at: int) -> None:
        backfill(Here(), replace(plan(history), at=at), tell=told.append)
        turns.append(max(history.lake.read("tiles/spend").column("turn").to_pylist()))

    messages = feed(seed=31, size=480)
    at = messages[399].at
    computed(at)
    since = rfc3339(at - 2 * HOUR)
    changed = [{**row, "level": 777} if row["valid_from"] >= since else row for row in ROWS["price_index"]]
    write(history, "price_index", changed)
    computed(at)
    history.deliver("a day", messages[400:])
    computed(messages[-1].at)

    assert [line.partition(" from")[0] for line in told[1:]] == ["going on", "going on"]
    assert turns[0] < turns[1] < turns[2]
    assert features(history) == expected(history, dict(newest(history.lake, pipeline)))
