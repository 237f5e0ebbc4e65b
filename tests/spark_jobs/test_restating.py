"""A day that is told anew: new versions of what history has of it, as in a lake that saw only the final truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.engine.encode import encode
from sluice.engine.versions import settled
from sluice.errors import DataError, UserError
from sluice.lake.days import days
from sluice.lake.delivery import Delivery
from sluice.lake.plan import Plan
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from spark_jobs.ingest import ingest
from tests.properties import examples
from tests.sluice.lake.shop import buying
from tests.sluice.lake.shop import orders as declared
from tests.sluice.lake.test_publish import Killed, mortal
from tests.sluice.lake.tile_tables import tiles_at
from tests.spark_jobs.deliveries import AT, FILE, HOUR, MINUTE, START, Shop, order, orders, returned

pytestmark = pytest.mark.integration

TODAY = days("2026-01-01", where="test")
DAY = 24 * HOUR
LATER = AT + 3 * HOUR
YESTERDAY = [order(number, ordered_at="2025-12-31 23:59:59") for number in (101, 102)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop with twenty orders of a day and two of the day before."""
    shop = Shop(tmp_path)
    assert shop.deliver("first", orders=[*orders(1, 20), *YESTERDAY]) is None
    return shop


def restate(shop: Shop, batch: str, rows: list[dict[str, Any]] | Path, at: int = LATER, **how: Any) -> object:
    return shop.deliver(batch, at, orders=rows, restates=TODAY, **how)


def standing(shop: Shop) -> dict[int, float]:
    """The amount of every order that stands."""
    found = settled(encode(shop.lake.read("silver/orders"), declared))
    return dict(zip(found.column("_id").to_pylist(), found.column("amount").to_pylist(), strict=True))


def found_by(shop: Shop, batch: str, rule: str) -> str:
    (row,) = [row for row in shop.lake.rows("verdicts") if (row["batch"], row["rule"]) == (batch, rule)]
    return str(row["message"])


def test_what_changed_is_replaced_what_is_new_is_added_and_what_is_lacking_is_deleted(shop: Shop) -> None:
    told = [*orders(1, 18), order(19, amount=500), order(30)]
    assert restate(shop, "anew", told) is None
    assert found_by(shop, "anew", "restatement").startswith(
        "2026-01-01: 18 rows are as they were, 1 replaced, 1 added, 1 events gone"
    )
    stands = standing(shop)
    assert (stands[19], stands[30]) == (50_000, 3025)
    assert 20 not in stands
    # the day before is not about what was restated
    assert {101, 102} < set(stands)
    versions = [row for row in shop.silver("order_id", "_revision", "_op", "_known") if row[0] in {19, 20, 30}]
    assert sorted(row[:3] for row in versions) == [(19, 0, 0), (19, 1, 0), (20, 0, 0), (20, 1, 1), (30, 0, 0)]
    assert {row[3] for row in versions if row[1] or row[0] == 30} == {LATER}
    after = shop.accounts()
    assert (after.duplicates, after.superseded, after.conflicts) == (18, 2, 0)


def test_the_same_restatement_again_adds_nothing_and_another_of_the_same_day_is_a_next_version(shop: Shop) -> None:
    told = shop.file("told", [*orders(1, 19), order(20, amount=500)])
    assert restate(shop, "anew", told) is None
    before = shop.accounts()
    assert restate(shop, "anew", told) is None
    assert shop.accounts() == before
    # back to what it was, and then told once more as before, by the same file
    assert restate(shop, "back", orders(1, 20), LATER + HOUR) is None
    assert standing(shop)[20] == 2025
    assert restate(shop, "again", told, LATER + 2 * HOUR) is None
    assert standing(shop)[20] == 50_000
    assert sorted(row[1] for row in shop.silver("order_id", "_revision") if row[0] == 20) == [0, 1, 2, 3]


def test_a_deleted_event_comes_back_when_a_day_has_it_again(shop: Shop) -> None:
    assert restate(shop, "without", orders(1, 19)) is None
    assert 20 not in standing(shop)
    assert restate(shop, "with", orders(1, 20), LATER + HOUR) is None
    assert standing(shop)[20] == 2025


def test_an_event_that_only_a_refused_row_names_keeps_what_it_was(shop: Shop) -> None:
    assert restate(shop, "anew", [*orders(1, 19), order(20, amount=2000.5)]) is None
    assert standing(shop)[20] == 2025
    assert shop.accounts().quarantined == {"range": 1}


def test_a_row_of_another_day_is_named_and_nothing_lands(shop: Shop) -> None:
    before = shop.accounts()
    with pytest.raises(DataError, match=r"2 rows of orders are not of 2026-01-01: row 3 is of 2025-12-31T23:59:59Z"):
        restate(shop, "anew", [*orders(1, 3), *YESTERDAY])
    assert shop.accounts() == before
    restated = days("2025-12-31..2026-01-01", where="test")
    assert shop.deliver("anew", LATER, orders=[*orders(1, 20), *YESTERDAY], restates=restated) is None


def test_files_that_lack_more_of_a_day_than_may_go_are_stopped_unless_a_person_lets_them_pass(shop: Shop) -> None:
    stopped = restate(shop, "less", orders(1, 10))
    assert "10 events gone; at most 10.00% of them may go" in str(stopped)
    assert len(standing(shop)) == 22
    shop.waive("orders:restatement", "less", LATER)
    assert shop.deliver("less", LATER) is None
    assert len(standing(shop)) == 12


def test_days_that_were_told_against_an_older_history_are_stopped_and_nobody_can_waive_that(shop: Shop) -> None:
    assert restate(shop, "less", orders(1, 10)) is not None
    shop.deliver("more", LATER, orders=[order(21), order(22)])
    shop.waive("orders:restatement", "less", LATER)
    stopped = shop.deliver("less", LATER)
    assert "history: it was decided what is new of 2026-01-01 against a history that has moved on" in str(stopped)
    with pytest.raises(UserError, match="gate 'history'"):
        shop.waive("orders:history", "less", LATER)
    shop.waive("orders:restatement", "less-again", LATER)
    assert restate(shop, "less-again", shop.folder / "less-orders.parquet") is None
    assert len(standing(shop)) == 12
    # the rows of the batch that was given up stay where a person finds them
    assert shop.accounts().held == 20


def test_a_stopped_restatement_is_mended_under_other_names_as_another_batch(shop: Shop) -> None:
    told = [{"total" if name == "amount" else name: value for name, value in row.items()} for row in orders(1, 20)]
    path = shop.file("renamed", [*told[:-1], {**told[-1], "total": 77.0}])
    assert restate(shop, "renamed", path) is not None
    names = {"orders": {"amount": "total"}}
    assert "history" in str(shop.deliver("renamed", LATER, renamed=names))
    assert restate(shop, "mended", path, renamed=names) is None
    assert standing(shop)[20] == 7700


@pytest.mark.parametrize("commits", range(9))
def test_a_restatement_that_dies_at_any_commit_is_completed_by_the_same_call(tmp_path: Path, commits: int) -> None:
    shop = Shop(tmp_path)
    shop.deliver("first", orders=orders(1, 20))
    path = shop.file("told", [*orders(1, 18), order(19, amount=500)])

    class Mortal(Delivery):
        def tables(self) -> Any:
            return lake

    lake = mortal(shop.lake, commits)
    try:
        ingest(Here(), Mortal(str(FILE), shop.uri, "anew", LATER, files=[("orders", path)], restates=TODAY))
        done = True
    except Killed:
        done = False
    assert restate(shop, "anew", path) is None
    assert (standing(shop)[19], 20 in standing(shop)) == (50_000, False)
    assert shop.accounts().superseded == 2
    assert done == (commits == 8)


def test_a_label_inside_the_row_is_restated_with_its_event(tmp_path: Path) -> None:
    file = tmp_path / "told.py"
    file.write_text(TOLD)
    shop = Shop(tmp_path, file=file)
    rows = [order(number, back=number % 2) for number in range(1, 7)]
    assert shop.deliver("first", orders=rows) is None
    # the second was returned after all, nobody knows of the third any more, and the fourth is gone
    again = [rows[0], {**rows[1], "back": 1}, {**rows[2], "back": None}, *rows[4:]]
    assert restate(shop, "anew", again) is None
    labels = shop.silver("order_id", "returned", "_revision", "_op", "_known", stream="orders_returned")
    changed = sorted(row for row in labels if row[2])
    assert [row[:4] for row in changed] == [(2, 1, 1, 0), (3, None, 1, 1), (4, None, 1, 1)]
    # a label is known two weeks after its order, whenever the file came
    assert [row[4] - START for row in changed] == [14 * DAY + number * MINUTE for number in (2, 3, 4)]
    assert (shop.accounts("orders_returned").superseded, shop.accounts("orders_returned").duplicates) == (3, 3)
    assert sorted(standing(shop)) == [1, 2, 3, 5, 6]


@pytest.mark.parametrize("text", ["yesterday", "2026-01-02..2026-01-01", "2026-01-01..", "..", "2026-13-01"])
def test_what_is_no_day_is_refused_with_what_is_one(text: str) -> None:
    with pytest.raises(UserError, match=r"a day such as 2026-01-05, or 2026-01-05..2026-01-07"):
        days(text, where="--restates")


def test_only_files_can_restate() -> None:
    with pytest.raises(UserError, match="only files can restate days"):
        Delivery(str(FILE), "lake", "a", AT, restates=TODAY).check()


TOLD = """
from dataclasses import replace
from sluice import Gates, Label, Pipeline, Stream
from tests.sluice.lake.shop import buying, orders

returned = Label("returned", of=orders, column="back", known_after="14d")
pipeline = Pipeline("shop", views=[buying], label=returned, gates=Gates.off())
"""
ROWS = st.lists(
    st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=6, unique_by=lambda row: row[0]
).map(lambda rows: [order(number, amount=amount, customer=f"c{number % 2}") for number, amount in rows])


@settings(max_examples=examples(60))
@given(st.lists(ROWS, min_size=2, max_size=4))
def test_a_lake_whose_day_was_restated_equals_one_that_saw_only_the_final_truth(
    tmp_path_factory: pytest.TempPathFactory, told: list[list[dict[str, Any]]]
) -> None:
    results = []
    for name, deliveries in (("restated", told), ("final", told[-1:])):
        shop = Shop(tmp_path_factory.mktemp(name), file=FILE.with_name("open_shop.py"))
        for number, rows in enumerate(deliveries):
            at = AT + number * HOUR
            files = {"orders": rows, "returns": [returned(rows[0]["order_id"])]}
            assert shop.deliver(f"b{number}", at, **files, restates=TODAY if number else None) is None
            backfill(
                Here(),
                Plan(str(shop.declaration), shop.uri, shop.lake.version("batches"), at, 1),
                tell=lambda _: None,
            )
        vectors = shop.lake.read("vectors").sort_by("event_id").to_pydict()
        results.append((standing(shop), vectors, tiles_at(shop.lake, buying, at)))
    assert results[0] == results[1]
