"""States add up in any grouping and come back from their words; a window says the same however a loop got there."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice import (
    Integer,
    Key,
    Stream,
    Windows,
    count,
    decayed_count,
    decayed_mean,
    decayed_sum,
    distinct,
    first,
    last,
    max_,
    mean,
    min_,
    percentile,
    since_first,
    since_last,
    std,
    sum_,
    top_share,
)
from sluice.declare.columns import Category
from sluice.declare.durations import MINUTE
from sluice.engine.encode import Ints
from sluice.engine.evaluate import Sums, evaluate, nobody
from sluice.engine.layout import FLAGS, ID, PRESENT, TIME, VALUES, Matrix, width
from sluice.engine.plan import LOOP_OF, plan_of
from sluice.engine.states import State, merged_state, merged_tally, read_state, shape, state, tallied, words_of
from tests.sluice.engine.worlds import START, many

pytestmark = pytest.mark.unit

EVENTS = Stream(
    "events",
    id="event_id",
    time="at",
    columns={"key": Key(), "size": Integer(min=-1_000, max=1_000, nullable=True), "kind": Category("a", "b", "c")},
)
VIEW = Windows(
    "view",
    of="key",
    over=EVENTS,
    features=[
        count("lifetime"),
        sum_("size", "lifetime"),
        mean("size", "lifetime"),
        std("size", "lifetime"),
        min_("size", "lifetime"),
        max_("size", "lifetime"),
        percentile("size", 0.5, "lifetime", exact=3, error=0.1),
        distinct("size", "lifetime", exact=2),
        first("size", "lifetime"),
        last("kind", "lifetime"),
        top_share("kind", "lifetime", cardinality=2),
        decayed_count(half_life="1min"),
        decayed_sum("size", half_life="2min"),
        decayed_mean("size", half_life="1min"),
        since_first("lifetime"),
        since_last("lifetime"),
    ],
)
SIZE, KIND = (VALUES + VIEW.value_columns.index(name) for name in ("size", "kind"))


@st.composite
def histories(draw: st.DrawFn) -> Matrix:
    """Rows in order: few minutes or many half-lives apart, few values, now and then none."""
    gaps = st.sampled_from([0, 0, 1, MINUTE - 1, MINUTE, 3 * MINUTE, 40 * MINUTE, 200 * MINUTE])
    rows = draw(st.lists(st.tuples(gaps, st.one_of(st.none(), st.integers(-5, 5), st.integers(-1_000, 1_000)), KINDS)))
    matrix = np.zeros((len(rows), width(VIEW)), np.int64)
    for place, (_, size, kind) in enumerate(rows):
        seen = (size is not None) << VIEW.value_columns.index("size")
        matrix[place, [ID, FLAGS, SIZE]] = place, PRESENT | seen | 1 << VIEW.value_columns.index("kind"), size or 0
        matrix[place, KIND] = kind
    matrix[:, TIME] = START + np.cumsum([gap for gap, _, _ in rows])
    return matrix


KINDS = st.integers(0, 2)


def whole(states: list[State]) -> list[int]:
    return words_of(merged_state(VIEW, states)).tolist()


@many
@given(data=st.data())
def test_merge_is_associative_and_the_state_of_all_rows_is_that_of_its_parts(data: st.DataObject) -> None:
    rows = data.draw(histories())
    cuts = sorted(data.draw(st.lists(st.integers(0, len(rows)), min_size=1, max_size=5)))
    parts = [state(VIEW, rows[begin:end]) for begin, end in pairwise([0, *cuts, len(rows)])]
    expected = whole([state(VIEW, rows)])
    left = parts[0]
    for part in parts[1:]:
        left = merged_state(VIEW, [left, part])
    right = parts[-1]
    for part in reversed(parts[:-1]):
        right = merged_state(VIEW, [part, right])
    at = data.draw(st.integers(1, len(parts)))
    middle = [merged_state(VIEW, parts[:at]), *parts[at:]]
    assert whole(parts) == whole([left]) == whole([right]) == whole(middle) == expected


@many
@given(rows=histories())
def test_a_state_comes_back_from_its_words(rows: Matrix) -> None:
    words = words_of(state(VIEW, rows))
    assert words_of(read_state(VIEW, words)).tolist() == words.tolist()
    assert whole([read_state(VIEW, words)]) == whole([state(VIEW, rows)])


@many
@given(data=st.data())
def test_inverse_what_sums_add_up_to_can_be_taken_away_again(data: st.DataObject) -> None:
    rows = data.draw(histories())
    cut = data.draw(st.integers(0, len(rows)))
    all_of_it, gone, left = (state(VIEW, part).sums for part in (rows, rows[:cut], rows[cut:]))
    kept = [VIEW.functions[place] for place in shape(VIEW).kept.tolist()]
    added = [place for place, feature in enumerate(kept) if LOOP_OF[feature.function] == "sums"]
    assert len(added) == 2  # the events and their sizes, which four features share
    for name in ("number", "total"):
        one, other, rest = (getattr(sums, name)[0, added] for sums in (all_of_it, gone, left))
        assert (one - other).tolist() == rest.tolist()
    squares = [(int(sums.high[0, 0]) << 32) + int(sums.low[0, 0]) for sums in (all_of_it, gone, left)]
    assert squares[0] - squares[1] == squares[2]


@many
@given(data=st.data())
def test_the_order_in_which_tallies_are_merged_changes_nothing(data: st.DataObject) -> None:
    parts = [state(VIEW, data.draw(histories())) for _ in range(3)]
    shuffled = data.draw(st.permutations(parts))
    for place, feature in enumerate(tallied(VIEW)):
        one, other = (merged_tally(feature, [part.tallies[place] for part in order]) for order in (parts, shuffled))
        assert (one.keys.tolist(), one.exact) == (other.keys.tolist(), other.exact)
        assert one.amounts.tolist() == other.amounts.tolist()


def computed(rows: Matrix, first_: list[int], stop: list[int], times: Ints) -> list[list[int]]:
    windows = len(plan_of(VIEW).windows)
    found = Sums.empty(len(stop), VIEW)
    begins = np.ascontiguousarray(np.tile(np.array(first_, np.int64), (windows, 1)))
    evaluate(plan_of(VIEW), rows, begins, np.array(stop, np.int64), times, nobody(VIEW), found)
    squares = (found.high * 2**32 + found.low).tolist()
    return [[*found.number[at].tolist(), *found.total[at].tolist(), *squares[at]] for at in range(len(stop))]


@many
@given(data=st.data())
def test_a_window_that_slid_over_others_holds_what_one_does_that_begins_afresh(data: st.DataObject) -> None:
    rows = data.draw(histories())
    place = st.integers(0, len(rows))
    edges = data.draw(st.lists(st.tuples(place, place), min_size=1, max_size=8))
    # of one entity both edges go forward, and the next one begins where the last one has ended
    first_, stop, low, high = [], [], 0, 0
    for begin, end in edges:
        low = max(low, min(begin, end))
        high = max(high, low, end)
        first_.append(low)
        stop.append(high)
    newest = int(rows[-1, TIME]) if len(rows) else START
    times = np.full(len(stop), newest, np.int64)
    alone = [computed(rows, [begin], [end], times[:1])[0] for begin, end in zip(first_, stop, strict=True)]
    assert computed(rows, first_, stop, times) == alone
