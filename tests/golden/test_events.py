"""Rules of what stands, where no other test has a literal for them: copies of two kinds, and labels told late."""

from __future__ import annotations

import pytest

from sluice import Label, Pipeline, Windows, count, sum_
from sluice.declare.durations import HOUR, MINUTE
from tests.golden.sales import REQUEST, RETURNED, SALES, Found, T, on_every_path, sale
from tests.golden.test_labels import RETURNS, told
from tests.sluice.engine.oracle import Version

pytestmark = pytest.mark.unit

FROM_FILE = sale(1, T - MINUTE)
FROM_TOPIC = Version(**{**vars(FROM_FILE), "watermark": T + 90 * MINUTE})
"""The same bytes, met so late that they have expired."""
IN_TIME = Version(**{**vars(FROM_FILE), "watermark": T})
"""And by a topic, when they still count."""
BETWEEN = [sale(number, T - 2 * HOUR) for number in range(2, 7)]
"""Fill the first of two batches."""


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([FROM_TOPIC], 0),
        ([FROM_FILE], 1),
        ([FROM_TOPIC, *BETWEEN, FROM_FILE], 1),
        ([FROM_FILE, *BETWEEN, FROM_TOPIC], 1),
        ([FROM_TOPIC, FROM_FILE], 1),
        ([IN_TIME, FROM_TOPIC], 1),
        ([FROM_TOPIC, IN_TIME], 1),
        ([IN_TIME, *BETWEEN, FROM_TOPIC], 1),
        ([FROM_TOPIC, *BETWEEN, IN_TIME], 1),
    ],
)
def test_of_copies_the_one_from_a_file_stands_else_the_first_in_its_partition(
    events: list[Version], expected: int
) -> None:
    views = [Windows("stall", of="stall", over=SALES, leaf=leaf, features=[count("10min")]) for leaf in (1, 512)]
    pipelines = [Pipeline("stalls", views=[view], label=RETURNED) for view in views]
    assert on_every_path(pipelines, events, REQUEST) == {"count_10min": expected}


def returns(absent: int | None, versions: list[Version], **view: object) -> Found:
    """How many labels of a stall there are in ten minutes that ended five minutes ago, and how many say yes."""
    label = Label("returned", of=SALES, told_by=RETURNS, absent=absent, after="5min")
    features = [count("10min"), sum_("returned", "10min")]
    views = [
        Windows("stall", of="stall", over=label, delay="5min", leaf=leaf, features=features, **view)
        for leaf in (1, 512)
    ]
    return on_every_path([Pipeline("stalls", views=[one], label=label) for one in views], versions, REQUEST)


HORIZON = (10 + 5 + 60) * MINUTE
"""Of such a view: its window, its delay, and what may still come."""


@pytest.mark.parametrize(("behind", "expected"), [(HORIZON, 1), (HORIZON + 1, 0)])
def test_a_correction_of_a_label_expires_a_microsecond_behind_the_horizon(behind: int, expected: int) -> None:
    sold = sale(1, T - 10 * MINUTE)
    no = told(1, 1, T - 9 * MINUTE, 0)
    yes = told(1, 1, T - 8 * MINUTE, 1, revision=1, watermark=sold.time + behind)
    assert returns(0, [sold, no, yes])["sum_returned_10min"] == expected


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(15 * MINUTE, 0), (15 * MINUTE - 1, 1), (6 * MINUTE, 1), (5 * MINUTE, 1), (5 * MINUTE - 1, 0)],
)
def test_a_label_that_is_known_just_now_keeps_to_the_edges(ago: int, expected: int) -> None:
    assert returns(None, [sale(1, T - ago), told(1, 1, T - ago, 1, known=T)])["count_10min"] == expected
    assert returns(None, [sale(1, T - ago), told(1, 1, T - ago, 1, known=T + 1)])["count_10min"] == 0


@pytest.mark.parametrize(
    ("ago", "expected"),
    [(15 * MINUTE + 1, 0), (15 * MINUTE, 1), (5 * MINUTE + 1, 1), (5 * MINUTE, 0)],
)
def test_a_label_that_is_known_just_now_keeps_to_the_edges_of_slots(ago: int, expected: int) -> None:
    slots = {"edge": "slot", "slot": "5min"}
    versions = [sale(1, T - ago), told(1, 1, T - ago, 1, known=T)]
    assert returns(None, versions, **slots)["count_10min"] == expected


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({"known": T, "watermark": T - 2}, {"known": T + 1, "watermark": T - 1}, 1),
        ({"known": T + 1, "watermark": T - 2}, {"known": T, "watermark": T - 1}, 0),
        ({"known": T + 1}, {"known": T, "watermark": T - 1}, 0),
        ({"known": T, "watermark": T - 1}, {"known": T + 1, "watermark": T - 1}, 1),
    ],
    ids=["first in its partition", "known first by another", "from a file", "known first of equals"],
)
def test_a_label_that_was_told_twice_is_known_since_the_first_in_its_partition(
    first: dict[str, int], second: dict[str, int], expected: int, order: int
) -> None:
    copies = [told(1, 1, T - 7 * MINUTE, 1, **copy) for copy in (first, second)]
    assert returns(None, [sale(1, T - 8 * MINUTE), *copies[::order]])["count_10min"] == expected
