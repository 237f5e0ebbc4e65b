"""The plan of the live days: every day once, in order, and everything of the story where it can still be done."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.cli.demo.plan import SHORT, WHOLE, Beside, Story, spans

pytestmark = pytest.mark.unit


def test_sixty_days_are_cut_where_something_begins() -> None:
    assert [(span.first, span.until, [beside.name for beside in span.beside]) for span in spans(60, WHOLE)] == [
        (0, 12, []),
        (12, 24, ["WATCH"]),
        (24, 34, ["WATCH"]),
        (34, 44, ["WATCH"]),
        (44, 47, ["WATCH"]),
        (47, 51, ["RETRAINING"]),
        (51, 53, ["ROLLOUT"]),
        (53, 55, ["ROLLOUT"]),
        (55, 56, ["ROLLOUT"]),
        (56, 58, ["CONTROL"]),
        (58, 60, ["ROLLOUT"]),
    ]


@given(st.integers(5, 400), st.sampled_from([WHOLE, SHORT]))
def test_every_day_is_lived_once_and_everything_of_the_story_is_done_in_its_order(days: int, story: Story) -> None:
    planned = spans(days, story)
    assert (planned[0].first, planned[-1].until) == (0, days)
    assert all(before.until == after.first for before, after in pairwise(planned))
    assert all(span.first < span.until for span in planned)
    assert [beside for span in planned for beside in span.beside] == [beside for _, beside in story]


def test_nothing_begins_before_there_was_traffic() -> None:
    assert spans(5, WHOLE)[0].beside == ()


def test_a_retraining_is_waited_for_after_the_watch_that_may_ask_for_it() -> None:
    for story in (WHOLE, SHORT):
        order = [beside for _, beside in story]
        assert Beside.WATCH in order[: order.index(Beside.RETRAINING)]
        assert Beside.ROLLOUT in order[order.index(Beside.RETRAINING) :]
