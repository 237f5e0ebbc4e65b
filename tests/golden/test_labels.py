"""Features of what became of sales, worked out by hand: a label counts from the moment it is known, as it stands then.

Of the sales of `sales`, with a delay of five minutes after which silence means no:

     1   returned, told long ago                                       1
     2   nothing told                                                  0
     3   told and taken back before the request                        0
     4   told as not returned, corrected a microsecond too late        0
     5   told as not returned, corrected at the request's moment       1
     6   told twice: no, and later yes                                 1
     7   told a microsecond after the request                          0
     8   silent for five minutes exactly, and so settled just now      0
     9   silent for a microsecond less: in no window
"""

from __future__ import annotations

import functools
from typing import Any

import pytest

from sluice import (
    Flag,
    ForeignKey,
    Label,
    Pipeline,
    Stream,
    Windows,
    col,
    count,
    mean,
    share,
    since_first,
    since_last,
    sum_,
)
from sluice.declare.durations import MINUTE
from tests.golden.sales import EVENTS, NO_CLOTH, REQUEST, SALES, Found, T, on_every_path
from tests.sluice.engine.oracle import DELETE, Version
from tests.sluice.engine.worlds import digest

pytestmark = pytest.mark.unit

RETURNS = Stream(
    "returns",
    id="return_id",
    time="returned_at",
    columns={"sale_id": ForeignKey(SALES), "returned": Flag()},
    accept_late="1h",
)


def told(id_: int, sale_id: int, time: int, returned: int, **more: Any) -> Version:
    values = {"sale_id": sale_id, "returned": returned}
    return Version("returns", id_, time, values, digest(time, values), **({"known": time} | more))


TOLD = [
    told(1, 1, T - 30 * MINUTE, 1),
    told(3, 3, T - 9 * MINUTE, 1),
    told(3, 3, T - 1, 1, revision=1, op=DELETE),
    told(4, 4, T - 9 * MINUTE, 0),
    told(4, 4, T + 1, 1, revision=1),
    told(5, 5, T - 9 * MINUTE, 0),
    told(5, 5, T, 1, revision=1),
    # the one that happened later counts, though it was heard of first
    told(61, 6, T - 3 * MINUTE, 0, known=T - MINUTE),
    told(60, 6, T - 2 * MINUTE, 1),
    told(7, 7, T + 1, 1),
]
MAKERS = {
    "count": count,
    "sum": functools.partial(sum_, "returned"),
    "mean": functools.partial(mean, "returned"),
    "share": functools.partial(share, "returned"),
    "since_first": since_first,
    "since_last": since_last,
}
FEATURES = [
    *(make("10min", name=name) for name, make in MAKERS.items()),
    *(make("10min", name=f"{name}_filtered", where=NO_CLOTH) for name, make in MAKERS.items()),
    *(make("lifetime", name=f"{name}_lifetime") for name, make in MAKERS.items()),
]


@functools.cache
def of(absent: int | None) -> Found:
    """What the features come to when silence means this; where it means nothing, without the times since."""
    label = Label("returned", of=SALES, told_by=RETURNS, absent=absent, after="5min")
    features = [one for one in FEATURES if absent is not None or not one[0].name.startswith("since")]
    stalls = [Windows("stall", of="stall", over=label, delay="5min", leaf=leaf, features=features) for leaf in (1, 512)]
    return on_every_path([Pipeline("stalls", views=[view], label=label) for view in stalls], [*EVENTS, *TOLD], REQUEST)


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("count", 6.0),  # 3 4 5 6 7 8
        ("sum", 2.0),  # 5 6
        ("mean", 0.3333333333333333),  # 2 / 6
        ("share", 0.3333333333333333),
        ("since_first", 840.0),  # 3
        ("since_last", 300.0),  # 8
        ("count_filtered", 3.0),  # 4 5 6 by the kind of the sale: 3 and 7 are cloth, and nobody knows of 8
        ("sum_filtered", 2.0),  # 5 6
        ("mean_filtered", 0.6666666666666666),  # 2 / 3
        ("share_filtered", 0.6666666666666666),
        ("since_first_filtered", 720.0),  # 4
        ("since_last_filtered", 599.999999),  # 6
        ("count_lifetime", 8.0),  # 1 to 8
        ("sum_lifetime", 3.0),  # 1 5 6
        ("mean_lifetime", 0.375),  # 3 / 8
        ("share_lifetime", 0.375),
        ("since_first_lifetime", 2400.0),  # 1
        ("since_last_lifetime", 300.0),  # 8
    ],
)
def test_silence_means_no(feature: str, expected: float) -> None:
    assert of(0)[feature] == expected


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("count", 6.0),
        ("sum", 5.0),  # 3 by being taken back, 7 and 8 by silence, and 5 6; told is no of 4
        ("share", 0.8333333333333334),  # 5 / 6
        ("sum_filtered", 2.0),  # 5 6
        ("sum_lifetime", 7.0),  # 1, and 2 by silence
        ("mean_lifetime", 0.875),  # 7 / 8
        ("since_last", 300.0),
    ],
)
def test_silence_means_yes(feature: str, expected: float) -> None:
    assert of(1)[feature] == expected


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("count", 3.0),  # 4 5 6: what was told of 3 was taken back
        ("sum", 2.0),  # 5 6
        ("mean", 0.6666666666666666),  # 2 / 3
        ("count_filtered", 3.0),
        ("share_filtered", 0.6666666666666666),
        ("count_lifetime", 4.0),  # 1 4 5 6
        ("share_lifetime", 0.75),  # 3 / 4
    ],
)
def test_silence_means_nothing(feature: str, expected: float) -> None:
    assert of(None)[feature] == expected


def test_a_filter_of_a_label_reads_the_columns_of_the_event_that_it_is_about() -> None:
    label = Label("returned", of=SALES, told_by=RETURNS, absent=0, after="5min")
    features = [count("10min"), count("10min", where=(col("price") > 3) & col("paid").is_null(), name="dear")]
    view = Windows("stall", of="stall", over=label, delay="5min", features=features)
    found = on_every_path([Pipeline("stalls", views=[view], label=label)], [*EVENTS, *TOLD], REQUEST)
    assert found == {"count_10min": 6.0, "dear": 1.0}  # 7 costs 4.00, and nobody knows whether it is paid
