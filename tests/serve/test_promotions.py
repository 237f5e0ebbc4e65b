from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve import promotions
from serve.rollout_state import Gain, Kind, Move
from serve.routing import Model, Route, Routing
from sluice.errors import DataError
from sluice.lake.tables import Lake

pytestmark = pytest.mark.unit

A, B = (Model("fraud-pos", str(number), f"/m/{number}", "d1") for number in (1, 2))
REST = Model("fraud-all", "1", "/m/all", "d1")
OFFLINE = {
    "offline_value": 0.05,
    "offline_low": 0.01,
    "offline_high": 0.09,
    "offline_rows": 900,
    "offline_positives": 4,
}
STORY = (
    Move("pos", Kind.PROMOTE, None, A, 0.0, "first", 10, {}),
    Move("*", Kind.PROMOTE, None, REST, 0.0, "first", 10, {}),
    Move("pos", Kind.SHADOW, A, B, 0.0, "candidate", 20, OFFLINE),
    Move("pos", Kind.CANARY, A, B, 0.1, "baked", 30, {"requests": 300, "shift": 0.1}),
)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path), "fraud")


def told(lake: Lake) -> list[dict[str, Any]]:
    for move in STORY:
        promotions.append(lake, move)
    return promotions.moves(lake)


def test_a_row_says_who_left_who_came_and_why(lake: Lake) -> None:
    promotions.append(lake, STORY[0])
    (row,) = promotions.moves(lake)
    assert {name: row[name] for name in ("sequence", "segment", "move", "from", "to", "share", "reason", "at")} == {
        "sequence": 0,
        "segment": "pos",
        "move": "promote",
        "from": None,
        "to": "fraud-pos/1",
        "share": 0.0,
        "reason": "first",
        "at": 10,
    }


def test_the_state_is_read_back_from_the_rows_alone(lake: Lake) -> None:
    told(lake)
    pos = promotions.state(lake)["pos"]
    assert (pos.champion, pos.challenger, pos.share, pos.since, pos.began) == (A, B, 0.1, 30, 20)
    assert pos.offline == Gain(0.05, 0.01, 0.09, 900, 4)
    assert promotions.routing_of(promotions.state(lake)) == Routing({"pos": Route(A, B, 0.1), "*": Route(REST)})


def test_nobody_has_moved_yet(lake: Lake) -> None:
    assert promotions.state(lake) == {}
    assert promotions.verify(lake).rows == 0


def test_each_row_is_chained_to_the_one_before(lake: Lake) -> None:
    rows = told(lake)
    assert [row["previous"] for row in rows] == [promotions.START, *(row["hash"] for row in rows[:-1])]
    verified = promotions.verify(lake, head=rows[1]["hash"])
    assert (verified.rows, verified.head, verified.broken) == (4, rows[-1]["hash"], ())


def test_a_move_that_is_not_possible_is_not_written(lake: Lake) -> None:
    promotions.append(lake, STORY[0])
    with pytest.raises(DataError, match="not possible"):
        promotions.append(lake, STORY[3])
    assert len(promotions.moves(lake)) == 1


def test_a_second_writer_of_the_same_place_is_refused(lake: Lake) -> None:
    told(lake)
    row = {**promotions.moves(lake)[-1]}
    assert not lake.append_rows("promotions", [row], promotions.PROMOTIONS, once="promotions:3")


@given(st.data())
def test_any_change_of_any_value_is_found(data: st.DataObject) -> None:
    rows = [dict(row) for row in chain()]
    place = data.draw(st.integers(0, len(rows) - 1))
    name = data.draw(st.sampled_from(promotions.PROMOTIONS.names))
    old = rows[place][name]
    fresh = st.integers(-5, 5) if isinstance(old, int) else st.floats(0, 1) if isinstance(old, float) else st.text()
    rows[place][name] = data.draw(fresh.filter(lambda value: value != old))
    assert promotions.verify_rows(rows).broken


@given(st.data())
def test_a_removed_or_moved_row_is_found(data: st.DataObject) -> None:
    rows = chain()
    removed = data.draw(st.integers(0, len(rows) - 2))
    assert promotions.verify_rows(rows[:removed] + rows[removed + 1 :]).broken
    order = data.draw(st.permutations(rows).filter(lambda found: found != rows))
    assert promotions.verify_rows(order).broken


def test_rows_cut_off_at_the_end_show_against_a_kept_hash() -> None:
    rows = chain()
    assert promotions.verify_rows(rows[:-1]).broken == ()
    assert promotions.verify_rows(rows[:-1], head=rows[-1]["hash"]).broken == (
        f"the row with hash {rows[-1]['hash'][:12]}… is gone",
    )


def test_a_forged_row_with_a_hash_of_its_own_breaks_the_row_after_it() -> None:
    rows = [dict(row) for row in chain()]
    rows[1]["reason"] = "another"
    rows[1]["hash"] = promotions.hash_of_row(rows[1])
    assert promotions.verify_rows(rows).broken == ("row 2 (pos: shadow) does not follow the row before it",)


def test_nothing_is_written_behind_a_broken_chain(lake: Lake) -> None:
    told(lake)
    forged = {**promotions.moves(lake)[0], "sequence": 4}
    lake.append_rows("promotions", [forged], promotions.PROMOTIONS)
    with pytest.raises(DataError, match="chain is broken: row 4"):
        promotions.append(lake, Move("pos", Kind.ROLLBACK, B, A, 0.0, "worse", 40, {}))


def chain() -> list[dict[str, Any]]:
    """The rows of the story, without a lake."""
    rows: list[dict[str, Any]] = []
    for move in STORY:
        rows.append(promotions.row_of(move, len(rows), rows[-1]["hash"] if rows else promotions.START))
    return rows


def test_in_use_are_champions_challengers_and_what_a_rollback_goes_back_to(lake: Lake) -> None:
    assert promotions.in_use(lake) == set()
    told(lake)
    assert promotions.in_use(lake) == {"fraud-pos/1", "fraud-pos/2", "fraud-all/1"}
    promotions.append(lake, Move("pos", Kind.PROMOTE, A, B, 1.0, "better", 40, {}))
    assert promotions.in_use(lake) == {"fraud-pos/1", "fraud-pos/2", "fraud-all/1"}
    promotions.append(lake, Move("pos", Kind.ROLLBACK, B, A, 0.0, "worse", 50, {}))
    assert promotions.in_use(lake) == {"fraud-pos/1", "fraud-all/1"}
