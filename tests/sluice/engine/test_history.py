from __future__ import annotations

from dataclasses import replace

import pytest

from sluice.declare.durations import MINUTE
from sluice.engine.history import keep, no_events, rows
from sluice.engine.layout import PRESENT
from sluice.engine.versions import originals, settled
from tests.sluice.engine.oracle import DELETE, Version
from tests.sluice.engine.pipelines import clinic, shop
from tests.sluice.engine.worlds import START, table, tables

pytestmark = pytest.mark.unit

SHOP = shop()
KEPT = 7 * MINUTE
ORDER = Version(
    "orders",
    1,
    START,
    {"customer": 5, "till": "a", "amount": 150, "items": 2, "gift": 0, "channel": 0, "country": None},
    hash=10,
    known=START,
)
CLAIM = Version("claims", 9, START + MINUTE, {"order_id": 1, "is_bad": 1, "cost": 0}, hash=20, known=START + MINUTE)
VISIT = Version("visits", "v", START, {"patient": "p", "ward": 3, "cost": 0}, hash=30, known=START)


def counted(view: str, *versions: Version) -> list[tuple[object, ...]]:
    """(key, minutes since START, id, known, weight, values…) of each row, known in minutes too.

    The rows of a plain view are known always, which is None, and weigh one; a value without its flag is None.
    """
    chosen = SHOP.view(view)
    found = rows(chosen, tables(SHOP, versions), kept=keep(SHOP)).to_pylist()
    return [
        (
            row["key"],
            (row["time"] - START) / MINUTE,
            row["id"],
            minutes(row.get("known")),
            row.get("weight", 1),
            *(row[name] if row["flags"] >> bit & 1 else None for bit, name in enumerate(chosen.value_columns)),
        )
        for row in found
    ]


def minutes(known: int | None) -> float | None:
    return None if known is None else (known - START) / MINUTE


def told(**changes: object) -> Version:
    values = {**CLAIM.values, **{name: changes.pop(name) for name in list(changes) if name in CLAIM.values}}
    return replace(CLAIM, values=values, **changes)


def test_an_event_can_be_a_parent_for_the_longest_horizon_of_the_views() -> None:
    assert keep(SHOP) == KEPT == max(view.horizon for view in SHOP.windows)


def test_a_plain_event_is_one_row_that_every_request_may_see() -> None:
    assert counted("till", ORDER) == [("a", 0.0, 1, None, 1, 150)]


def test_the_greatest_revision_stands() -> None:
    corrected = replace(ORDER, revision=1, hash=1, values={**ORDER.values, "amount": 99})
    assert counted("till", corrected, ORDER) == [("a", 0.0, 1, None, 1, 99)]


def test_a_conflict_is_settled_by_the_greatest_unsigned_hash_and_not_by_arrival() -> None:
    # as a signed integer -1 would be the least
    other = replace(ORDER, hash=-1, values={**ORDER.values, "amount": 99})
    assert counted("till", ORDER, other) == counted("till", other, ORDER) == [("a", 0.0, 1, None, 1, 99)]


def test_a_delete_removes_and_a_higher_revision_puts_back() -> None:
    gone = replace(ORDER, op=DELETE, revision=1)
    assert counted("till", ORDER, gone) == []
    assert len(counted("till", ORDER, gone, replace(ORDER, revision=2))) == 1


def test_the_same_bytes_put_and_deleted_at_one_revision_are_deleted() -> None:
    gone = replace(ORDER, op=DELETE)
    assert counted("till", ORDER, gone) == counted("till", gone, ORDER) == []


def test_an_event_is_late_for_a_view_when_it_is_past_its_horizon_behind_the_watermark() -> None:
    horizon = SHOP.view("till").horizon
    assert horizon == MINUTE + 0 + 2 * MINUTE
    assert len(counted("till", replace(ORDER, watermark=START + horizon))) == 1
    assert counted("till", replace(ORDER, watermark=START + horizon + 1)) == []
    assert len(counted("customer", replace(ORDER, watermark=START + horizon + 1))) == 1


def test_a_correction_that_comes_too_late_changes_nothing() -> None:
    late = replace(ORDER, revision=1, watermark=START + 60 * MINUTE, values={**ORDER.values, "amount": 99})
    assert counted("till", ORDER, late) == [("a", 0.0, 1, None, 1, 150)]
    assert counted("till", ORDER, replace(late, op=DELETE)) == [("a", 0.0, 1, None, 1, 150)]


def test_a_copy_that_came_in_time_counts_whatever_came_later() -> None:
    again = replace(ORDER, watermark=START + 60 * MINUTE)
    assert counted("till", again, ORDER) == counted("till", ORDER, again) == [("a", 0.0, 1, None, 1, 150)]


def test_an_inherited_key_is_the_parents_and_the_time_and_id_are_the_childs() -> None:
    assert counted("reports", ORDER, CLAIM) == [("a", 1.0, 9, None, 1, 0)]


def test_a_child_without_parent_waits() -> None:
    assert counted("reports", CLAIM) == []
    assert counted("reports", told(order_id=None), ORDER) == []


def test_a_parent_older_than_kept_no_longer_counts() -> None:
    assert len(counted("reports", ORDER, replace(CLAIM, time=START + KEPT))) == 1
    assert counted("reports", ORDER, replace(CLAIM, time=START + KEPT + 1)) == []
    assert counted("risk", ORDER, replace(CLAIM, time=START + KEPT + 1)) == [("a", 0.0, 1, 2.0, 1, 0)]


def test_what_was_told_longer_than_kept_before_its_event_does_not_count_either() -> None:
    assert len(counted("reports", ORDER, replace(CLAIM, time=START - KEPT))) == 1
    assert counted("reports", ORDER, replace(CLAIM, time=START - KEPT - 1)) == []
    assert len(counted("risk", ORDER, replace(CLAIM, time=START - KEPT))) == 2
    assert len(counted("risk", ORDER, replace(CLAIM, time=START - KEPT - 1))) == 1


def test_a_deleted_parent_takes_its_children_along() -> None:
    assert counted("reports", ORDER, CLAIM, replace(ORDER, op=DELETE, revision=1)) == []


def test_a_parent_that_comes_too_late_for_a_row_is_as_if_it_had_never_come() -> None:
    reach = SHOP.view("reports").horizon
    late = replace(ORDER, watermark=CLAIM.time + reach)
    assert counted("reports", CLAIM, late) == [("a", 1.0, 9, None, 1, 0)]
    assert counted("reports", CLAIM, replace(late, watermark=CLAIM.time + reach + 1)) == []


def test_a_correction_of_a_parent_counts_for_the_rows_that_it_is_not_too_late_for() -> None:
    moved = {**ORDER.values, "till": "b"}
    late = replace(ORDER, revision=1, watermark=CLAIM.time + SHOP.view("reports").horizon + 1, values=moved)
    younger = replace(CLAIM, id=10, time=CLAIM.time + MINUTE)
    assert counted("reports", ORDER, CLAIM, younger, late) == [
        ("a", 1.0, 9, None, 1, 0),
        ("b", 2.0, 10, None, 1, 0),
    ]


def test_a_label_row_stands_for_absent_and_another_for_what_changes_when_it_is_told() -> None:
    assert counted("risk", ORDER) == [("a", 0.0, 1, 2.0, 1, 0)]
    assert counted("risk", ORDER, CLAIM) == [("a", 0.0, 1, 2.0, 1, 0), ("a", 0.0, 1, 1.0, 0, 1)]


def test_a_told_label_that_says_what_absent_means_changes_nothing() -> None:
    assert counted("risk", ORDER, told(is_bad=0)) == [("a", 0.0, 1, 2.0, 1, 0)]


def test_a_label_that_changes_later_is_a_row_with_the_difference() -> None:
    acquitted = told(is_bad=0, revision=1, known=START + 4 * MINUTE, hash=21)
    assert counted("risk", acquitted, ORDER, CLAIM)[1:] == [("a", 0.0, 1, 1.0, 0, 1), ("a", 0.0, 1, 4.0, 0, -1)]


def test_a_reversal_by_a_delete_that_names_no_order_takes_the_label_back() -> None:
    reversal = told(op=DELETE, revision=1, known=START + 4 * MINUTE, order_id=None, is_bad=None, cost=None)
    assert counted("risk", ORDER, CLAIM, reversal)[1:] == [("a", 0.0, 1, 1.0, 0, 1), ("a", 0.0, 1, 4.0, 0, -1)]
    assert counted("reports", ORDER, CLAIM, reversal) == []


def test_a_label_corrected_to_speak_of_another_event_leaves_the_first_one() -> None:
    second = replace(ORDER, id=2, values={**ORDER.values, "till": "b"})
    moved = told(order_id=2, revision=1, known=START + 4 * MINUTE)
    assert counted("risk", ORDER, second, CLAIM, moved)[2:] == [
        ("a", 0.0, 1, 1.0, 0, 1),
        ("a", 0.0, 1, 4.0, 0, -1),
        ("b", 0.0, 2, 4.0, 0, 1),
    ]


def test_of_two_that_speak_of_one_event_the_later_one_counts_by_time_then_id() -> None:
    other = told(id=8, is_bad=0, time=CLAIM.time, known=START + 4 * MINUTE)
    assert len(counted("risk", ORDER, CLAIM, other)) == 2
    assert counted("risk", ORDER, CLAIM, replace(other, id=10))[2:] == [("a", 0.0, 1, 4.0, 0, -1)]


def test_what_becomes_known_at_one_moment_is_one_row() -> None:
    changes = [told(revision=number, is_bad=number % 2, hash=number) for number in range(4)]
    assert counted("risk", ORDER, *changes)[1:] == [("a", 0.0, 1, 1.0, 0, 1)]


def test_a_label_of_an_event_that_came_too_late_counts_for_nothing() -> None:
    late = replace(ORDER, watermark=START + 60 * MINUTE)
    assert counted("risk", late, CLAIM) == []


def test_a_label_told_too_late_for_its_event_leaves_what_stood() -> None:
    assert len(counted("risk", ORDER, replace(CLAIM, watermark=START + KEPT))) == 2
    assert len(counted("risk", ORDER, replace(CLAIM, watermark=START + KEPT + 1))) == 1


def test_a_label_without_absent_is_a_row_only_once_it_is_told() -> None:
    pipeline = clinic()
    ward = pipeline.view("ward")
    told_ = Version(
        "visits_relapse", "v", START + MINUTE, {"visit_id": "v", "relapse": 1}, hash=1, known=START + MINUTE
    )
    silent = rows(ward, tables(pipeline, [VISIT]), kept=keep(pipeline))
    spoken = rows(ward, tables(pipeline, [VISIT, told_]), kept=keep(pipeline)).to_pylist()
    assert len(silent) == 0
    row = {"key": 3, "time": START, "id": "v", "flags": PRESENT | 1, "relapse": 1, "known": START + MINUTE, "weight": 1}
    assert spoken == [row]


def test_of_copies_the_first_in_its_partition_stands_then_the_first_known() -> None:
    file, stream = replace(CLAIM, known=START + 9), replace(CLAIM, watermark=START, known=START)
    later = replace(CLAIM, watermark=START, known=START + 1)
    claims = SHOP.stream("claims")
    assert originals(table(claims, [later, stream, file])).column("_known").to_pylist() == [START + 9]
    assert originals(table(claims, [later, stream])).column("_known").to_pylist() == [START]
    assert originals(table(claims, [])).num_rows == 0


def test_settled_keeps_the_order_of_arrival_and_is_empty_for_nothing() -> None:
    events = table(SHOP.events, [replace(ORDER, id=7), replace(ORDER, id=3), replace(ORDER, id=7, revision=1)])
    assert settled(events).column("_id").to_pylist() == [3, 7]
    assert settled(events.slice(0, 0)).num_rows == 0


@pytest.mark.parametrize("view", SHOP.windows, ids=lambda view: view.name)
def test_no_rows_look_like_rows(view: object) -> None:
    empty = rows(view, no_events(view), kept=0)
    assert empty.schema.equals(rows(view, tables(SHOP, []), kept=KEPT).schema)
