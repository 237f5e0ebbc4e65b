"""What a pipeline logs and finds is kept as long as it says, and what is held is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from sluice.declare.durations import DAY
from sluice.declare.keeping import Keeping
from sluice.declare.loading import load_pipeline
from sluice.lake.keeping import holds
from sluice.lake.keeping.keep import DROPPED, KEPT, Told, apply, show
from sluice.lake.keeping.plan import Rule, rules
from sluice.lake.keeping.present import tables
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit

PIPELINE = load_pipeline(str(Path(__file__).parent / "kept.py"))
AT = 1_767_264_000_000_000
DAYS = (10, 19, 20, 21, 49, 50, 51)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """A row of some ages in days in each table of what is logged; answers are customers' in turn."""
    lake = Lake(str(tmp_path), "shop")
    times = pa.array([AT - age * DAY for age in DAYS], pa.int64())
    keys = [json.dumps({"customer": f"c{number % 2}"}) for number in range(len(DAYS))]
    lake.append("predictions", pa.table({"age": DAYS, "event_time": times, "keys": keys}))
    lake.append("predictions_refused", pa.table({"age": DAYS, "known": times}))
    for table in ("audits", "drift", "performance", "decisions", "promotions", "requests"):
        lake.append(table, pa.table({"age": DAYS, "at": times}))
    return lake


def ages(lake: Lake, table: str) -> list[int]:
    return sorted(lake.read(table).column("age").to_pylist())


def test_answers_and_findings_go_when_they_are_older_than_they_are_kept_and_the_rest_stays(lake: Lake) -> None:
    """Answers are kept for fifty days, what watching found for twenty."""
    told = {(one.table, one.what): one.count for one in apply(lake, PIPELINE, AT, ())}
    assert {table: count for (table, what), count in told.items() if what == DROPPED} == {
        "predictions": 1,
        "predictions_refused": 1,
        "audits": 4,
        "drift": 4,
        "performance": 4,
    }
    assert ages(lake, "predictions") == ages(lake, "predictions_refused") == [10, 19, 20, 21, 49, 50]
    assert ages(lake, "audits") == ages(lake, "drift") == ages(lake, "performance") == [10, 19, 20]
    assert all(ages(lake, table) == sorted(DAYS) for table in ("decisions", "promotions", "requests"))
    assert [one for one in apply(lake, PIPELINE, AT, ()) if one.count] == []


def test_what_nobody_gave_a_time_is_kept_for_ever(lake: Lake) -> None:
    told = apply(lake, replace(PIPELINE, keeping=Keeping()), AT + 9_000 * DAY, ())
    assert [one for one in told if one.what == DROPPED and one.count] == []


def test_to_look_changes_nothing_and_says_the_same(lake: Lake) -> None:
    seen = show(lake, PIPELINE, AT, ())
    assert ages(lake, "audits") == sorted(DAYS)
    assert apply(lake, PIPELINE, AT, ()) == seen


def test_the_rows_of_a_held_entity_stay_and_those_of_which_nobody_can_tell_whose_they_are(lake: Lake) -> None:
    """The oldest answer is c0's."""
    hold = holds.place(lake, PIPELINE, "customer=c0", by="Ada", because="a case", at=AT)
    apply(lake, PIPELINE, AT, ())
    assert ages(lake, "predictions") == ages(lake, "audits") == sorted(DAYS)
    assert ages(lake, "drift") == [10, 19, 20]
    holds.place(lake, PIPELINE, "customer=c1", by="Ada", because="a case", at=AT)
    holds.lift(lake, hold.hold, by="Ada", because="closed", at=AT)
    apply(lake, PIPELINE, AT, ())
    assert ages(lake, "predictions") == [10, 19, 20, 21, 49, 50]


def test_a_table_that_is_held_stays_and_says_by_whom(lake: Lake) -> None:
    hold = holds.place(lake, PIPELINE, "drift", by="Ada", because="a case", at=AT)
    told = apply(lake, PIPELINE, AT, ())
    assert Told("drift", KEPT, 0, 0, f"legal hold {hold.hold} on drift") in told
    assert ages(lake, "drift") == sorted(DAYS)
    assert ages(lake, "audits") == [10, 19, 20]


def test_a_row_without_a_time_stays(lake: Lake) -> None:
    lake.append("audits", pa.table({"age": [99], "at": pa.nulls(1, pa.int64())}))
    apply(lake, PIPELINE, AT, ())
    assert ages(lake, "audits") == [10, 19, 20, 99]


def test_a_view_and_its_vectors_lose_what_its_events_have_lost() -> None:
    """Orders are there from AT on; windows reach seven days back."""
    known = ["vectors", "rows/buying", "tiles/buying", "silver/orders"]
    found = rules(PIPELINE, known, AT, {"orders": AT}, AT + 7 * DAY)
    assert [(rule.table, rule.column, rule.before) for rule in found] == [
        ("vectors", "event_time", AT + 7 * DAY),
        ("rows/buying", "time", AT),
        ("tiles/buying", "first", AT),
    ]
    assert rules(PIPELINE, known, AT, {}, None) == []
    assert rules(PIPELINE, known, AT, {"returns": AT}, None) == []
    (drift,) = rules(PIPELINE, ["drift"], AT, {}, None)
    assert drift == Rule("drift", "at", AT - 20 * DAY, "kept for 20d")


def test_tables_are_found_by_what_lies_in_their_folder(lake: Lake) -> None:
    lake.append("events/orders", pa.table({"n": [1]}))
    Path(lake.uri("work/left")).mkdir(parents=True)
    logged = {"predictions", "predictions_refused", "audits", "drift", "performance"}
    assert tables(lake) == sorted({*logged, "decisions", "promotions", "requests", "events/orders"})
    assert tables(Lake(lake.root, "nobody")) == []
