"""Where a rule changes its mind: as many values, kinds, rows and digits as fit, and one more."""

from __future__ import annotations

import numpy as np
import pytest

from sluice import (
    Windows,
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    distinct,
    first,
    last,
    percentile,
    since_first,
    sum_,
)
from sluice.declare.durations import DAY, HOUR, MINUTE
from sluice.declare.pipeline import Pipeline
from sluice.engine.build import build
from sluice.engine.finalise import deviation, exact_root
from sluice.engine.history import rows
from sluice.engine.layout import FLAGS, PRESENT, TIME, width
from sluice.engine.states import tally
from sluice.engine.store import MemoryStore
from sluice.engine.tiles import COLD, HOT, read_head
from tests.golden.sales import REQUEST, RETURNED, SALES, T, found, sale
from tests.golden.test_rules import LONG_AGO
from tests.sluice.engine.folding import answered, fold_all
from tests.sluice.engine.oracle import DELETE, Version
from tests.sluice.engine.worlds import START, tables

pytestmark = pytest.mark.unit


def pieces(*sizes: int) -> list[Version]:
    """A sale of each size, a minute apart, of a stall that is hot where leaves are small."""
    return [*LONG_AGO, *(sale(number, T - (9 - number) * MINUTE, pieces=size) for number, size in enumerate(sizes))]


def test_a_percentile_is_exact_up_to_as_many_values_as_are_kept() -> None:
    most = [percentile("pieces", 1, "10min", exact=3, error=0.25)]
    assert list(found(most, pieces(1, 2, 100)).values()) == [100.0]
    assert list(found(most, pieces(1, 2, 2, 100)).values()) == [112.0]  # 96 to 127 have one bucket


def test_values_become_buckets_when_others_are() -> None:
    """Three sales of one minute are more than two, one of another minute is not: together they are four."""
    edges = [
        percentile("pieces", p, "10min", exact=2, error=0.25, name=f"p{place}") for place, p in enumerate((0.25, 1))
    ]
    three = [sale(number, T - 8 * MINUTE, pieces=8 + number) for number in range(3)]
    for size in (17, 20):  # 8 to 11 have one bucket with the middle 10, 16 to 23 one with 20
        sales = [*LONG_AGO, *three, sale(9, T - 3 * MINUTE, pieces=size)]
        assert list(found(edges, sales).values()) == [10.0, 20.0]


def test_a_short_window_does_not_hold_the_slots_of_a_long_one() -> None:
    windows = [sum_("pieces", "3min", "10min", "lifetime")]
    assert list(found(windows, pieces(1, 2, 3, 4, 5, 6, 7, 8, 9)).values()) == [17.0, 45.0, 48.0]  # 8 9; all; LONG_AGO


def test_the_first_is_found_in_states_and_in_rows() -> None:
    """The far edge cuts a slot, so that its rows are opened, and then three of a state come; or the other way round."""
    features = [first("pieces", "10min", "lifetime"), last("pieces", "10min"), since_first("10min")]
    cut = [sale(1, T - 10 * MINUTE, pieces=1), sale(2, T - 10 * MINUTE + 9, pieces=2)]
    after = [sale(number, T - 5 * MINUTE + number, pieces=number) for number in (3, 4, 5)]
    assert list(found(features, [*LONG_AGO, *cut, *after]).values()) == [2, 1, 5, 599.999991]
    before = [sale(number, T - 9 * MINUTE + number, pieces=number) for number in (6, 7, 8)]
    opened = sale(1, T, pieces=1)  # the near edge cuts its slot
    assert list(found(features, [*LONG_AGO, *before, opened]).values()) == [6, 1, 1, 539.999994]


def test_kinds_are_counted_up_to_as_many_as_are_kept() -> None:
    kinds = [distinct("pieces", "10min", exact=3)]
    assert list(found(kinds, pieces(3, 2, 8, 8)).values()) == [3.0]
    assert list(found(kinds, pieces(3, 2, 8, 4)).values()) == [7.244829388785464]  # 2 / 0.27605895, the hash of 8


def test_what_is_older_than_64_half_lives_is_still_counted() -> None:
    """Nothing of its weight is left; but that there was something is."""
    view = Windows("stall", of="stall", over=SALES, features=[count("lifetime"), decayed_count(half_life="1min")])
    matrix = np.zeros((3, width(view)), np.int64)
    matrix[:, TIME], matrix[:, FLAGS] = [START, START + MINUTE, START + 64 * MINUTE], PRESENT
    kept = tally(view, view.functions[1], matrix)
    assert (kept.keys - START // MINUTE).tolist() == [1, 64]
    assert kept.amounts.tolist() == [[65_536, 65_536, 2], [65_536, 65_536, 1]]


OLD = [
    count("2h"),
    decayed_count(half_life="5min"),
    decayed_sum("price", half_life="5min"),
    decayed_mean("price", half_life="5min"),
]


def old(half_lives: int, price: int) -> list[float | None]:
    """Decayed count, sum and mean of a sale three minutes into a half-life, so many of them before the request's.

    Its weight is 99,324, as in `test_decays`; that of the request is 65,536.
    """
    sold = sale(1, T - half_lives * 5 * MINUTE + 3 * MINUTE, price=price)
    one, *values = found(OLD, [*LONG_AGO, sold]).values()
    assert one == 1
    return values


@pytest.mark.parametrize(
    ("half_lives", "expected"),
    [
        (1, [49_662 / 65_536, 49_662 / 65_536, 1.0]),  # 99,324 / 2
        (8, [387 / 65_536, 387.98 / 65_536, 1.002532299741602]),  # 99,324 / 2^8 is 387.98, 9,932,400 / 2^8 is 38,798.4
        (12, [24 / 65_536, 24.24 / 65_536, 1.01]),  # of 24.249 and 2,424.9
        (15, [3 / 65_536, 3.03 / 65_536, 1.01]),  # of 3.031 and 303.1
        (16, [1 / 65_536, 1.51 / 65_536, 1.51]),  # of 1.516 and 151.6
        (17, [0.0, 0.75 / 65_536, None]),  # of 0.758 and 75.8: no weight is left
        (23, [0.0, 0.01 / 65_536, None]),  # of 1.18
        (24, [0.0, 0.0, None]),  # of 0.59
    ],
)
def test_what_a_half_life_adds_up_to_is_rounded_down_when_it_is_halved(
    half_lives: int, expected: list[float | None]
) -> None:
    """So an event is gone after seventeen, and a mean over what is left of its weight is none of its values."""
    assert old(half_lives, 100) == expected


def test_down_is_away_from_zero_below_it() -> None:
    assert old(24, -100) == [0.0, -0.01 / 65_536, None]  # of -0.59


def test_a_mean_with_no_weight_left_is_filled() -> None:
    filled = [count("2h"), decayed_mean("price", half_life="5min", fill=-1)]
    assert found(filled, [*LONG_AGO, sale(1, T - 90 * MINUTE)])["decayed_mean_price_5min"] == -1.0


def test_a_root_between_two_floats_goes_to_the_nearest() -> None:
    middle = 9_007_199_254_765_685  # between ...684 and ...686, which are floats
    assert exact_root(middle**2 + 1, 1) == 9_007_199_254_765_686.0
    assert exact_root(middle**2 - 1, 1) == 9_007_199_254_765_684.0


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([22, 47, -42], 37.47888294315436),  # √12,642 / 3, whose float over 3 is the one below
        ([47, 6, 13], 17.90716802475106),
        ([-6, -21, 36], 24.124676163629637),  # here it is the one above
        ([47, 8, -13], 24.859605789312106),
    ],
)
def test_a_deviation_between_two_floats_goes_to_the_nearest(values: list[int], expected: float) -> None:
    squares = sum(value**2 for value in values)
    words = (np.array([word], np.int64) for word in (len(values), sum(values), 0, squares))
    assert deviation(*words, 1).tolist() == [expected]


THREE = Windows("stall", of="stall", over=SALES, leaf=3, features=[count("10min")])
STALLS = Pipeline("stalls", views=[THREE], label=RETURNED)


def folded(*batches: list[Version]) -> MemoryStore:
    store = MemoryStore()
    fold_all(STALLS, store, batches)
    return store


def leaves(store: MemoryStore) -> list[tuple[float, int, int]]:
    """Of each leaf where it begins after START, in hours, its length in hours, and how many rows it has."""
    listed = read_head(THREE, dict(store.scan("stall"))[1]).leaves.leaves()
    return [((leaf.start - START) / HOUR, leaf.span // HOUR, leaf.size) for leaf in listed]


def kind(store: MemoryStore) -> int:
    return store.read([("stall", 1)]).heads[0][0]


def at(id_: int, hours: float) -> Version:
    return sale(id_, START + round(hours * HOUR))


def gone(version: Version) -> Version:
    return Version(**{**vars(version), "revision": 1, "op": DELETE})


DAY_ONE = [at(1, 0), at(2, 0.5), at(3, 1)]
DAY_TWO = [at(4, 25)]


def test_as_many_rows_as_a_leaf_holds_stay_together_and_one_more_is_divided() -> None:
    assert kind(folded(DAY_ONE)) == COLD
    assert kind(folded(DAY_ONE, DAY_TWO)) == HOT
    for events in (DAY_ONE, [*DAY_ONE, *DAY_TWO]):
        built = build(THREE, rows(THREE, tables(STALLS, events), kept=0)).to_pylist()
        assert [row["body"] for row in built if row["start"] is None] == [
            head for _, head in folded(events).scan("stall")
        ]
    assert leaves(folded([*DAY_ONE, *DAY_TWO])) == leaves(folded(DAY_ONE, DAY_TWO)) == [(0, 24, 3), (24, 24, 1)]
    assert leaves(folded([*DAY_ONE, at(5, 1.5)])) == leaves(folded(DAY_ONE, [at(5, 1.5)])) == [(0, 1, 2), (1, 1, 2)]


def test_an_entity_is_cold_again_when_its_rows_fit() -> None:
    store = folded(DAY_ONE, DAY_TWO, [gone(DAY_ONE[0])])
    again = folded([*DAY_ONE[1:], *DAY_TWO])
    assert kind(store) == COLD
    assert (list(store.scan("stall")), store._chunks) == (list(again.scan("stall")), {})


def test_a_slot_is_whole_again_when_its_rows_fit() -> None:
    many = [*DAY_ONE, at(5, 1.5), *DAY_TWO]
    store = folded(many, [gone(many[1])])
    again = folded([one for one in many if one.id != 2])
    assert leaves(store) == leaves(again) == [(0, 24, 3), (24, 24, 1)]
    assert (list(store.scan("stall")), store._chunks) == (list(again.scan("stall")), again._chunks)


def test_an_event_that_is_taken_back_leaves_its_entity() -> None:
    sales = [sale(1, T - 3), sale(2, T - 2), sale(3, T - 1)]
    store = folded(sales, [gone(sales[1])])
    assert answered(STALLS, store, [REQUEST]) == answered(STALLS, folded([sales[0], sales[2]]), [REQUEST])
    assert list(store.scan("stall")) == list(folded([sales[0], sales[2]]).scan("stall"))


def test_a_day_is_the_longest_slot_of_these() -> None:
    assert THREE.slots[0] == DAY
