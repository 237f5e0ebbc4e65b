"""Every day that is left lies in one range, every moment in one that is done or is to be, and no task gets too much."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.declare.durations import DAY, HOUR
from sluice.errors import UserError
from sluice.lake.days import Days
from sluice.lake.ranges import Range, Sheet, ranges, sheets

pytestmark = pytest.mark.unit

COUNTS = st.dictionaries(st.integers(0, 40), st.integers(1, 50), min_size=1)


def test_days_that_follow_each_other_are_computed_together_as_far_as_they_have_few_events() -> None:
    assert ranges({1: 5, 2: 5, 4: 5, 9: 30}, 10) == [
        Range(((1, 5), (2, 5)), None, 4 * DAY),
        Range(((4, 5),), 4 * DAY, 9 * DAY),
        Range(((9, 30),), 9 * DAY, None),
    ]


def test_few_events_are_one_range_of_all_time() -> None:
    assert ranges({1: 5, 9: 30}, 100) == [Range(((1, 5), (9, 30)), None, None)]


def test_nothing_scored_is_one_range_without_days() -> None:
    assert ranges({}, 100) == [Range((), None, None)]


def test_of_days_asked_for_only_those_are_computed_that_are_not_done() -> None:
    asked = Days(2 * DAY, 5 * DAY)
    assert ranges({1: 1, 2: 1, 3: 1, 4: 1, 5: 1}, 10, done={3}, asked=asked) == [
        Range(((2, 1),), 2 * DAY, 3 * DAY),
        Range(((4, 1),), 4 * DAY, 5 * DAY),
    ]


def test_days_without_events_are_a_mistake_that_names_those_with_some() -> None:
    with pytest.raises(UserError, match=r"no events on 1970-01-08(.|\n)*1970-01-02\.\.1970-01-03"):
        ranges({1: 1, 2: 1}, 10, asked=Days(7 * DAY, 8 * DAY))


@given(COUNTS, st.integers(1, 100), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=4))
def test_whatever_was_asked_for_before_ranges_part_all_time(
    days: dict[int, int], most: int, asked: list[tuple[int, int]]
) -> None:
    made: list[Range] = []
    for first, length in asked:
        done = {day for one in made for day, _ in one.days}
        span = Days(first * DAY, (first + length + 1) * DAY)
        if any(span.first <= day * DAY < span.until for day in days):
            made += ranges(days, most, done=done, asked=span)
    made += ranges(days, most, done={day for one in made for day, _ in one.days})

    made.sort(key=lambda one: one.days[0])
    assert [day for one in made for day, _ in one.days] == sorted(days)
    assert made[0].begin is None
    assert made[-1].end is None
    assert all(before.end == after.begin for before, after in pairwise(made))
    assert all(one.events <= most or len(one.days) == 1 for one in made)


def test_a_day_with_more_events_than_a_task_holds_is_cut_by_its_hours() -> None:
    found = Range(((1, 4), (2, 25), (3, 4), (4, 4), (5, 4)), None, None)
    assert sheets(found, {0: [1, 2, 3], 1: [4, 5]}, 12) == [
        Sheet(0, DAY, 2 * DAY),
        *(Sheet(0, 2 * DAY + four * 4 * HOUR, 2 * DAY + (four + 1) * 4 * HOUR) for four in range(6)),
        Sheet(0, 3 * DAY, 4 * DAY),
        Sheet(1, 4 * DAY, 6 * DAY),
    ]


@given(COUNTS, st.integers(1, 60), st.integers(1, 3))
def test_sheets_cover_each_day_once_and_hold_no_more_than_a_task_may(days: dict[int, int], most: int, by: int) -> None:
    parts: dict[int, list[int]] = {}
    for day in days:
        parts.setdefault(day % by, []).append(day)
    (found,) = ranges(days, 10**9)
    made = sheets(found, parts, most)
    for day, events in days.items():
        mine = [one for one in made if one.part == day % by and one.begin < day * DAY + DAY and one.end > day * DAY]
        assert sum(min(one.end, day * DAY + DAY) - max(one.begin, day * DAY) for one in mine) == DAY
        assert (len(mine) > 1) == (events > most)
    for one in made:
        inside = [events for day, events in days.items() if day % by == one.part and one.begin <= day * DAY < one.end]
        assert sum(inside) <= most or one.end - one.begin < DAY
