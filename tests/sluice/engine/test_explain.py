from __future__ import annotations

import pytest

from sluice import Label, Pipeline, count, mean
from sluice.engine.explain import cost, error, explain, meaning, state_bytes
from sluice.engine.states import state_of
from sluice.engine.tiles import in_order
from tests.sluice.declare.examples import TRANSACTIONS, windows
from tests.sluice.engine.pipelines import ALL, bazaar, clinic
from tests.sluice.engine.test_tiles import minutes

pytestmark = pytest.mark.unit

BAZAAR = bazaar()


def named(name: str) -> tuple[object, object]:
    view = next(view for view in BAZAAR.windows for item in view.functions if item.name == name)
    return view, next(item for item in view.functions if item.name == name)


@pytest.mark.parametrize("pipeline", ALL, ids=lambda pipeline: pipeline.name)
def test_every_place_of_the_vector_is_explained_in_its_order(pipeline: object) -> None:
    told = list(explain(pipeline, events=5, calls=2))
    assert [one.name for one in told] == [place.name for place in pipeline.features]
    looked_up = {f"{view.name}__{name}" for view in pipeline.lookups for name in view.features}
    assert {one.name for one in told if one.microseconds is None} == looked_up
    assert all(one.microseconds > 0 for one in told if one.microseconds is not None)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ("count_1min", "how many events: sales of the stall, this one included"),
        (
            "dear",
            "how many events: sales of the stall, where (~(price < 9.5) & ~(kind == 'cloth')), this one included",
        ),
        ("p50_price_1min", "0.5 of the values of price are at most this: sales of the stall, this one included"),
        ("decayed_sum_price_2min", "sum of price, halved every 2min: sales of the stall, this one included"),
        ("since_last", "seconds since the last event: sales of the stall"),
        ("share_returned_2min", "share with returned: labels returned of the stall, up to 1min before"),
    ],
)
def test_a_meaning_says_what_is_computed_over_which_events(feature: str, said: str) -> None:
    assert meaning(*named(feature)) == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "in whole slots of 1h up to the last that had ended"),
        ({"delay": "30min"}, "in whole slots of 1h up to the last that had ended, 30min before"),
        ({"include_request": True}, "in whole slots of 1h up to the last that had ended, this one included"),
    ],
)
def test_a_meaning_says_that_windows_are_whole_slots(changes: dict[str, object], said: str) -> None:
    view = windows(edge="slot", slot="1h", features=[count("6h")], **changes)
    assert meaning(view, view.functions[0]) == f"how many events: transactions of the customer_id, {said}"


def test_an_error_says_up_to_where_a_value_is_exact() -> None:
    names = ("count_1min", "p50_price_1min", "distinct_buyer_1min", "decayed_sum_price_2min")
    assert {name: error(named(name)[1]) for name in names} == {
        "count_1min": "exact",
        "p50_price_1min": "exact up to 2 values, then within 6.2 %",
        "distinct_buyer_1min": "exact up to 2, then about ±100 %",
        "decayed_sum_price_2min": "weights within 0.02 %, each half-life cut to 2^-16",
    }


@pytest.mark.parametrize(
    ("events", "month", "day", "ever"),
    [
        (512, "1 head", "1 head", "1 head"),
        (20_000, "1 head, 2 of 118 leaves", "1 head, 2 of 97 leaves", "1 head"),
    ],
)
def test_what_is_read_is_that_of_an_entity_with_so_many_events(events: int, month: str, day: str, ever: str) -> None:
    """What was before the horizon is one state for a lifetime; so few events are left of a life's 20,000."""
    view = windows(features=[count("30d", "1d", "lifetime")])
    bad = Label("bad", of=TRANSACTIONS, column="bad", known_after="1d")
    told = explain(Pipeline("p", views=[view], label=bad), events, calls=1)
    assert [one.tiles for one in told] == [month, day, ever]


def test_the_cost_is_that_of_the_read_that_such_an_entity_has() -> None:
    """Beside 200,000 events in one head a few hundred states and two tiles cost little."""
    busy, one_head = (windows(leaf=leaf, features=[mean("amount", "30d")]) for leaf in (512, 1_000_000))
    assert 3 * cost(busy, busy.functions[0], 200_000, 3) < cost(one_head, one_head.functions[0], 200_000, 3)


def test_no_state_is_larger_than_is_said() -> None:
    for view in BAZAAR.windows:
        rows = in_order(minutes(view, *range(60)))
        said = sum(state_bytes(view, feature) for feature in view.functions)
        assert state_of(view, rows.matrix).nbytes <= said


def test_a_view_with_text_ids_is_explained_too() -> None:
    assert [one.window for one in explain(clinic(), events=3, calls=2) if one.name.startswith("patient")] == [
        "2min"
    ] * 3
