"""What a repair touches is what differs: every vector, training set and model of it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.lake.days import days
from sluice.lake.files import remove
from sluice.lake.keeping.present import files
from sluice.lake.moved import Move, Moved, Span, moved
from sluice.lake.plan import Plan
from sluice.lake.touched import Touched, arrived_of, columns_of, note_before, record, tell_touched, touched
from sluice.lake.training_sets import TrainingSet, keep
from sluice.lake.workers import Here
from spark_jobs.backfill import backfill
from tests.properties import examples
from tests.sluice.lake.open_shop import pipeline
from tests.spark_jobs.deliveries import AT, FILE, HOUR, MINUTE, START, Shop, order, orders, returned

pytestmark = pytest.mark.integration

TODAY = days("2026-01-01", where="test")
COUNTS = ("buying__count_1d", "buying__count_7d")
OPEN = FILE.with_name("open_shop.py")


def computed(shop: Shop, at: int = AT) -> int:
    """The vectors' version after a backfill over what is history now."""
    asked = Plan(str(shop.declaration), shop.uri, shop.lake.version("batches"), at, 2)
    return backfill(Here(), asked, tell=lambda _: None)


def trained(shop: Shop, version: int, first: int, until: int, name: str = "shop-*", segment: str = "*") -> None:
    keep(shop.lake, TrainingSet(name, "1", segment, "vectors", version, first, until, "def", AT))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Twelve orders of three customers, a minute apart, computed, and a model that learned from the first ten."""
    shop = Shop(tmp_path, file=OPEN)
    shop.deliver("first", orders=orders(1, 12))
    trained(shop, computed(shop), START, START + 11 * MINUTE)
    return shop


def test_a_late_order_moves_the_vectors_behind_it_and_the_model_that_learned_from_them(shop: Shop) -> None:
    before = shop.lake.version("vectors")
    # customer c1 has orders 1, 4, 7 and 10; another one of his before the fifth minute comes late
    late = order(40, customer="c1", ordered_at="2026-01-01 10:05:00")
    shop.deliver("late", AT + HOUR, orders=[late])
    computed(shop, AT + HOUR)
    found = touched(shop.lake, pipeline, before)
    move = Move(changed=2, mean=1.0, greatest=1.0)
    assert found.vectors == Moved(2, 1, 0, START + 5 * MINUTE, START + 10 * MINUTE, dict.fromkeys(COUNTS, move))
    (model,) = found.models
    assert (model.trained.model, model.moved) == ("shop-*", found.vectors)
    assert [row["batch"] for row in found.arrived] == ["late"]


def test_a_model_that_learned_from_other_days_or_segments_is_not_touched(shop: Shop) -> None:
    version = shop.lake.version("vectors")
    trained(shop, version, START, START + 5 * MINUTE, "before")
    trained(shop, version, START, START + 20 * MINUTE, "elsewhere", "shop")
    shop.deliver("late", AT + HOUR, orders=[order(40, customer="c1", ordered_at="2026-01-01 10:05:00")])
    computed(shop, AT + HOUR)
    assert [one.trained.model for one in touched(shop.lake, pipeline, version).models] == ["shop-*"]


def test_events_of_new_days_touch_nothing(shop: Shop) -> None:
    before = shop.lake.version("vectors")
    shop.deliver("next", AT + HOUR, orders=orders(13, 20))
    computed(shop, AT + HOUR)
    found = touched(shop.lake, pipeline, before)
    assert (found.vectors, found.models) == (Moved(), [])


def test_a_model_is_touched_by_all_repairs_since_it_learned(shop: Shop) -> None:
    for number in (1, 2):
        shop.deliver(
            f"late{number}",
            AT + number * HOUR,
            orders=[order(40 + number, customer="c2", ordered_at="2026-01-01 10:00:30")],
        )
        before = shop.lake.version("vectors")
        computed(shop, AT + number * HOUR)
    found = touched(shop.lake, pipeline, before)
    # the second added one to customer c2's orders 2, 5, 8 and 11; the model had learned from all but the last
    assert found.vectors.columns["buying__count_1d"] == Move(4, 1.0, 1.0)
    assert found.models[0].moved.columns["buying__count_1d"] == Move(3, 2.0, 2.0)
    assert (found.models[0].moved.changed, found.models[0].moved.added) == (3, 2)


def test_a_deleted_order_is_gone_and_a_label_that_changes_is_told(shop: Shop) -> None:
    shop.deliver("labels", AT + HOUR, returns=[returned(2)])
    before = computed(shop, AT + HOUR)
    trained(shop, before, START, START + 11 * MINUTE, "labelled")
    shop.deliver("reversed", AT + 2 * HOUR, returns=[returned(2, returned=False, _revision=1)])
    shop.deliver("anew", AT + 2 * HOUR, orders=orders(1, 11), restates=TODAY)
    computed(shop, AT + 2 * HOUR)
    found = touched(shop.lake, pipeline, before)
    assert (found.vectors.gone, found.vectors.columns["label"].changed) == (1, 1)
    moved = {one.trained.model: one.moved for one in found.models}
    assert moved["labelled"].columns == {"label": Move(1, 1.0, 1.0)}


def test_a_label_that_became_known_is_counted_apart_and_moves_nothing(shop: Shop) -> None:
    before = shop.lake.version("vectors")
    # an order that nobody sent back within fourteen days stays
    computed(shop, AT + 40 * 24 * HOUR)
    found = touched(shop.lake, pipeline, before)
    assert (found.vectors.changed, found.vectors.labelled, found.vectors.columns) == (0, 12, {})
    assert found.models == []


def test_what_was_touched_is_kept_once(shop: Shop) -> None:
    before = shop.lake.version("vectors")
    shop.deliver("late", AT + HOUR, orders=[order(40, customer="c1", ordered_at="2026-01-01 10:05:00")])
    computed(shop, AT + HOUR)
    found = touched(shop.lake, pipeline, before)
    for _ in range(2):
        record(shop.lake, found, AT + HOUR)
    rows = {row["model"]: row for row in shop.lake.rows("touched")}
    assert set(rows) == {"", "shop-*"}
    assert columns_of(rows["shop-*"]) == dict(found.models[0].moved.columns)
    assert arrived_of(rows[""]) == [{"stream": "orders", "batch": "late", "accepted": 1, "late": 0}]


def told(shop: Shop, at: int) -> Touched:
    found = tell_touched(shop.lake, pipeline, at)
    assert found is not None
    return found


def kept(shop: Shop) -> list[tuple[int, int, int]]:
    """What was told of vectors: between which versions, and how many had changed."""
    rows = shop.lake.rows("touched")
    return sorted((row["before"], row["after"], row["changed"]) for row in rows if not row["model"])


def test_what_a_repair_moved_that_died_before_it_told_is_told_by_the_next_one(shop: Shop) -> None:
    note_before(shop.lake)
    shop.deliver("late", AT + HOUR, orders=[order(40, customer="c1", ordered_at="2026-01-01 10:05:00")])
    computed(shop, AT + HOUR)  # here it dies

    note_before(shop.lake)
    computed(shop, AT + 2 * HOUR)
    found = told(shop, AT + 2 * HOUR)
    assert (found.before, found.after, found.vectors.changed, found.vectors.added) == (0, 2, 2, 1)
    assert [row["batch"] for row in found.arrived] == ["late"]
    assert kept(shop) == [(0, 2, 2)]


def test_what_any_backfill_moved_since_the_last_repair_is_told_once(shop: Shop) -> None:
    note_before(shop.lake)
    for number, customer in ((1, "c1"), (2, "c2"), (3, "c0")):
        at = AT + number * HOUR
        shop.deliver(
            f"late{number}", at, orders=[order(40 + number, customer=customer, ordered_at="2026-01-01 10:00:30")]
        )
        computed(shop, at)
        if number != 2:  # a backfill that nobody tells of
            told(shop, at)
    assert kept(shop) == [(0, 1, 4), (1, 3, 8)]
    again = told(shop, AT + 4 * HOUR)
    assert (again.before, again.after, again.vectors) == (3, 3, Moved())
    assert kept(shop) == [(0, 1, 4), (1, 3, 8)]


def test_the_first_vectors_of_all_touch_nothing_and_what_moves_them_is_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path, file=OPEN)
    shop.deliver("first", orders=orders(1, 12))
    note_before(shop.lake)
    computed(shop)
    assert tell_touched(shop.lake, pipeline, AT) is None
    shop.deliver("late", AT + HOUR, orders=[order(40, customer="c1", ordered_at="2026-01-01 10:05:00")])
    computed(shop, AT + HOUR)  # by somebody else
    note_before(shop.lake)
    assert told(shop, AT + HOUR).vectors.changed == 2


def test_of_vectors_that_are_gone_the_next_that_are_left_are_compared(shop: Shop) -> None:
    note_before(shop.lake)
    first = {file.path for file in files(shop.lake.open("vectors", 0))}
    for number in (1, 2):
        shop.deliver(f"late{number}", AT + number * HOUR, orders=[order(40 + number, ordered_at="2026-01-01 10:00:30")])
        computed(shop, AT + number * HOUR)
    for path in first:  # a vacuum took them
        remove(shop.lake.uri(f"vectors/{path}"))
    found = told(shop, AT + 2 * HOUR)
    assert (found.before, found.after, found.vectors.added) == (1, 2, 1)
    assert [row["batch"] for row in found.arrived] == ["late2"]


EVENTS = st.lists(st.tuples(st.integers(1, 8), st.integers(0, 39), st.integers(0, 1)), min_size=1, max_size=5)


def differing(shop: Shop, versions: tuple[int, int], span: Span) -> tuple[int, int, int]:
    """Changed, added and gone by comparing both versions whole, event by event."""
    sides: list[dict[Any, Any]] = []
    for version in versions:
        rows = shop.lake.read("vectors", version=version).to_pylist()
        sides.append({row["event_id"]: row for row in rows if span.first <= row["event_time"] < span.until})
    old, new = sides
    changed = sum(_values(old[one]) != _values(_unlearned(old[one], new[one])) for one in old.keys() & new.keys())
    return changed, len(new.keys() - old.keys()), len(old.keys() - new.keys())


def _unlearned(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The new vector, without a label that was not known before."""
    return new | {"label": None} if old["label"] is None else new


def _values(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in {"event_id", "event_time", "segment"}}


@settings(max_examples=examples(60))
@given(st.lists(EVENTS, min_size=2, max_size=3), st.integers(0, 30))
def test_what_moved_is_what_differs_between_whole_versions(
    tmp_path_factory: pytest.TempPathFactory, told: list[list[tuple[int, int, int]]], minute: int
) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"), file=OPEN)
    versions = []
    for number, rows in enumerate(told):
        events = [
            order(event, ordered_at=f"2026-01-01 10:{at:02}:00", customer=f"c{customer}", _revision=number)
            for event, at, customer in rows
        ]
        shop.deliver(f"b{number}", AT + number * HOUR, orders=events)
        versions.append(computed(shop, AT + number * HOUR))
    for span in (Span(0, 2**62), Span(START, START + minute * MINUTE)):
        found = moved(shop.lake, "vectors", versions[0], versions[-1], span)
        assert (found.changed, found.added, found.gone) == differing(shop, (versions[0], versions[-1]), span)
