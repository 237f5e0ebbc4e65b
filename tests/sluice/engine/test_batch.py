from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from sluice import Integer, Key, Label, Pipeline, Stream, Windows, count, first, last, mean, since_last, sum_
from sluice.declare.durations import DAY, MINUTE
from sluice.engine.batch import compute
from sluice.engine.layout import ALWAYS, PRESENT
from sluice.errors import DataError

pytestmark = pytest.mark.unit

T = 10 * DAY
EVENTS = Stream(
    "events", id="event_id", time="at", columns={"key": Key(), "size": Integer(min=-(2**53) + 1, max=2**53 - 1)}
)
SEEN = Label("seen", of=EVENTS, column="seen", known_after="1h")
PLAIN = Windows(
    "plain", of="key", over=EVENTS, features=[count("5min"), sum_("size", "5min"), mean("size", "5min"), since_last()]
)
DELAYED = Windows("delayed", of="key", over=EVENTS, delay="10min", features=[count("5min")])
OWN = Windows(
    "own", of="key", over=EVENTS, include_request=True, features=[count("5min"), sum_("size", "5min"), since_last()]
)
LABELS = Windows("labels", of="key", over=SEEN, delay="1h", features=[count("1h"), sum_("seen", "1h")])

Row = tuple[int | None, int, object, int]
"""Key, time, id and value."""


def table(rows: Sequence[Row], column: str = "size", *, known: int | None = None, weight: int = 1) -> pa.Table:
    keys, times, ids, values = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = {
        "key": pa.array(keys, pa.int64()),
        "time": pa.array(times, pa.int64()),
        "id": pa.array(ids, None if ids and ids[0] is not None else pa.int64()),
        "flags": pa.array([PRESENT | 1 if key is not None else 0 for key in keys], pa.int64()),
        column: pa.array(values, pa.int64()),
    }
    if known is not None:
        columns |= {"known": pa.array([known] * len(rows), pa.int64())}
        columns |= {"weight": pa.array([weight] * len(rows), pa.int64())}
    return pa.table(columns)


def values(view: Windows, rows: pa.Table, requests: Sequence[Row]) -> list[dict[str, float | None]]:
    found = compute(view, rows, table(requests))
    return [
        {name: float(value[index]) if valid[index] else None for name, (value, valid) in found.items()}
        for index in range(len(requests))
    ]


def counts(view: Windows, rows: Sequence[Row], *requests: Row) -> list[float | None]:
    return [found["count_5min"] for found in values(view, table(rows), requests)]


def test_a_window_is_open_at_its_far_edge_and_closed_at_its_near_one() -> None:
    for offset, expected in [(-5 * MINUTE, 0), (-5 * MINUTE + 1, 1), (-1, 1), (0, 1), (1, 0)]:
        assert counts(PLAIN, [(1, T + offset, 1, 0)], (1, T, 2, 0)) == [expected]


def test_a_delayed_window_ends_at_t_minus_delay() -> None:
    for offset, expected in [(-15 * MINUTE, 0), (-15 * MINUTE + 1, 1), (-10 * MINUTE, 1), (-10 * MINUTE + 1, 0)]:
        assert counts(DELAYED, [(1, T + offset, 9, 0)], (1, T, 2, 0)) == [expected]


def test_at_one_moment_the_smaller_id_comes_first_and_an_event_never_counts_itself() -> None:
    at_once = [(1, T, number, 0) for number in (3, 1, 2)]
    assert counts(PLAIN, at_once, (1, T, 1, 0), (1, T, 2, 0), (1, T, 3, 0), (1, T, 4, 0)) == [0, 1, 2, 3]


@pytest.mark.parametrize("settings", [{"delay": "10min"}, {"edge": "slot", "slot": "1min"}], ids=["delay", "slot"])
def test_of_events_at_one_moment_ids_say_which_is_the_last_although_no_request_is_among_them(
    settings: dict[str, str],
) -> None:
    ends = Windows("ends", of="key", over=EVENTS, features=[first("size", "1h"), last("size", "1h")], **settings)
    rows = [(1, T, number, 10 * number) for number in (2, 3, 1)]
    for order in (rows, rows[::-1]):
        found = values(ends, table(order), [(1, T + 20 * MINUTE, 9, 0)])
        assert found == [{"first_size_1h": 10, "last_size_1h": 30}]


def test_text_ids_come_in_the_order_of_their_bytes() -> None:
    at_once = [(1, T, text, 0) for text in ("b", "é", "\uffff", "\U00010000")]
    requests = [(1, T, text, 0) for text in ("a", "b", "z", "\uffff", "\U00010000")]
    assert counts(PLAIN, at_once, *requests) == [0, 0, 1, 2, 3]


def test_ids_of_two_types_compare_as_text() -> None:
    assert counts(PLAIN, [(1, T, "10", 0), (1, T, "9", 0)], (1, T, 5, 0), (1, T, 95, 0)) == [1, 2]


def test_a_request_without_id_comes_after_every_other() -> None:
    requests = [(1, T, 2, 0), (1, T, None, 0), (1, T + 1, None, 0)]
    assert counts(PLAIN, [(1, T, 2**63 - 1, 0), (1, T, 3, 0)], *requests) == [0, 2, 2]


def test_a_request_without_key_reads_the_empty_state_and_its_own_event_counts_for_nobody() -> None:
    rows = table([(None, T - 1, 1, 7), (1, T - 1, 2, 7)])
    assert values(OWN, rows, [(None, T, 3, 5)]) == [{"count_5min": 0, "sum_size_5min": None, "since_last": None}]


def test_an_included_request_counts_itself_but_is_not_its_own_last_event() -> None:
    rows = table([(1, T - 2 * MINUTE, 1, 7)])
    assert values(OWN, rows, [(1, T, 3, 5)]) == [{"count_5min": 2, "sum_size_5min": 12, "since_last": 120}]


def test_an_empty_window_is_zero_for_a_count_and_null_for_the_rest() -> None:
    empty = {"count_5min": 0, "sum_size_5min": None, "mean_size_5min": None, "since_last": None}
    assert values(PLAIN, table([]), [(1, T, 1, 0)]) == [empty]
    assert values(PLAIN, table([(1, T - DAY, 1, 3)]), [(1, T, 2, 0)]) == [empty]
    assert values(PLAIN, table([]), []) == []


def test_a_label_counts_from_the_moment_it_is_known_until_it_leaves_the_window() -> None:
    known = T + 90 * MINUTE
    absent = table([(1, T, 1, 0)], "seen", known=ALWAYS)
    rows = pa.concat_tables([absent, table([(1, T, 1, 1)], "seen", known=known, weight=0)])
    requests = [(key, at, 9, 0) for key in (1, 2) for at in (known - 1, known, T + 120 * MINUTE - 1, T + 120 * MINUTE)]
    assert [found["sum_seen_1h"] for found in values(LABELS, rows, requests)] == [0, 1, 1, None] + [None] * 4


def test_requests_are_answered_in_their_own_order() -> None:
    rows = [(key, T + minute * MINUTE, 10 * minute + key, 0) for key in (1, 2) for minute in range(key)]
    requests = [(2, T + MINUTE, 99, 0), (1, T + MINUTE, 99, 0), (2, T, 99, 0)]
    assert counts(PLAIN, rows, *requests) == [2, 1, 1]


def test_times_so_far_apart_that_they_fit_no_word_with_their_key_are_ranked() -> None:
    far = [-(2**61), -(2**61) + 1, 0, 2**61]
    rows = [(key, at, number, 0) for number, (key, at) in enumerate((key, at) for key in range(4) for at in far)]
    requests = [(key, at, 99, 0) for key in range(5) for at in (*far, 5)]
    assert counts(PLAIN, rows, *requests) == [1, 2, 1, 1, 1] * 4 + [0] * 5


def test_the_sum_of_all_history_may_pass_64_bits_as_long_as_no_window_does() -> None:
    largest = 2**53 - 1
    rows = [(1, number * DAY, number, largest) for number in range(1, 1_500)]
    assert len(rows) * largest > 2**63
    found = values(PLAIN, table(rows), [(1, 1_499 * DAY, 9_999, 0)])
    assert found == [
        {"count_5min": 1, "sum_size_5min": float(largest), "mean_size_5min": float(largest), "since_last": 0}
    ]


def test_a_window_that_holds_more_than_an_exact_sum_is_an_error_and_never_wraps() -> None:
    rows = [(1, T + number, number, 2**53 - 1) for number in range(1_025)]
    with pytest.raises(DataError, match=r"plain\.sum_size_5min: 1,025 values at the declared bounds"):
        compute(PLAIN, table(rows), table([(1, T + MINUTE, 9_999, 0)]))
    assert Pipeline("small", views=[PLAIN, DELAYED, OWN, LABELS], label=SEEN).windows[0] is PLAIN
