"""Where rows stand that some requests know and others do not: it changes no value, only how much there is to do."""

from __future__ import annotations

import numpy as np
import pytest

from sluice import Integer, Key, Stream, Windows, count
from sluice.declare.durations import MINUTE
from sluice.engine.amend import amendment, amount, is_hidden, part_of
from sluice.engine.arrange import Known, arranged
from sluice.engine.evaluate import nears
from sluice.engine.layout import ALWAYS, FOREVER, ID, TIME, width
from sluice.engine.order import Side

pytestmark = pytest.mark.unit

EVENTS = Stream("events", id="event_id", time="at", columns={"key": Key(), "size": Integer(max=9)})
VIEW = Windows("view", of="key", over=EVENTS, features=[count("5min", "10min")])
ASKED = list(range(1, 11))
"""A request each minute from 1 to 10, all of key 0."""

Span = tuple[int, int, int]
"""When a row is, and from when until when it is known, in minutes."""


def lay_out(*spans: Span, asked: list[int] = ASKED) -> tuple[list[int], dict[int, dict[int, tuple[int, int]]]]:
    """The times of the rows as they are laid out, and of each request (its minute) what it sees otherwise.

    That is, by the time of the row, what becomes of it in the window of 5 and in that of 10 minutes.
    """
    rows = np.zeros((len(spans), width(VIEW)), np.int64)
    rows[:, TIME] = [time * MINUTE for time, _, _ in spans]
    rows[:, ID] = range(len(spans))
    times = np.array(asked, np.int64) * MINUTE
    keys = np.zeros(len(times), np.int64)
    requests = Side(keys, times, keys, np.ones(len(times), bool), 1)
    since, until = (
        np.array([limit * MINUTE if -99 < limit < 99 else limit for limit in part], np.int64)
        for part in list(zip(*spans, strict=True))[1:]
    )
    laid, standing, amended = arranged(
        VIEW, rows, np.zeros(len(rows), np.int64), Known(since, until), requests, nears(VIEW, times)
    )
    seen = {
        minute: {
            int(laid[row, TIME]) // MINUTE: tuple(amendment(amended, place, number, 0, window)[1] for window in (0, 1))
            for number in range(amount(amended, place))
            for row in [amendment(amended, place, number, 0, 0)[0]]
        }
        for place, minute in enumerate(asked)
    }
    assert len(standing) <= len(laid)
    return (laid[:, TIME] // MINUTE).tolist(), {minute: found for minute, found in seen.items() if found}


def test_what_everybody_knows_stands_sorted_and_is_no_ones_exception() -> None:
    assert lay_out((0, ALWAYS, FOREVER), (3, 3, FOREVER)) == ([0, 3], {})


def test_what_most_know_stands_and_is_hidden_from_the_others() -> None:
    assert lay_out((0, 3, FOREVER), (1, 1, FOREVER)) == ([0, 1], {1: {0: (-1, -1)}, 2: {0: (-1, -1)}})


def test_what_few_know_stands_beside_and_is_shown_to_them_as_far_as_their_windows_reach() -> None:
    assert lay_out((0, 4, 6), (1, 1, FOREVER)) == ([1, 0], {4: {0: (1, 1)}, 5: {0: (0, 1)}})


def test_what_is_replaced_late_stands_and_is_hidden_afterwards() -> None:
    found = lay_out((0, 0, 7))
    assert found == ([0], {minute: {0: (-1, -1)} for minute in (7, 8, 9)})


def test_what_nobody_can_know_is_nowhere() -> None:
    assert lay_out((0, 11, FOREVER), (1, 1, FOREVER), (2, 4, 4)) == ([1], {})


def test_a_late_row_counts_from_its_very_moment() -> None:
    assert lay_out((0, 1, FOREVER)) == ([0], {})
    assert lay_out((0, 2, FOREVER), asked=[1, 2, 3, 4]) == ([0], {1: {0: (-1, -1)}})


def test_a_part_of_the_requests_has_its_own_exceptions_only() -> None:
    rows = np.zeros((1, width(VIEW)), np.int64)
    times = np.array(ASKED, np.int64) * MINUTE
    keys = np.zeros(len(times), np.int64)
    requests = Side(keys, times, keys, np.ones(len(times), bool), 1)
    known = Known(np.array([3 * MINUTE]), np.array([FOREVER]))
    _, _, amended = arranged(VIEW, rows, np.zeros(1, np.int64), known, requests, nears(VIEW, times))
    part = part_of(amended, slice(1, 4))
    assert [amount(part, request) for request in range(3)] == [1, 0, 0]
    assert [is_hidden(part, request, 0) for request in range(3)] == [True, False, False]
