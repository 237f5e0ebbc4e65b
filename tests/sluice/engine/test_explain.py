from __future__ import annotations

import pytest

from sluice import count
from sluice.engine.explain import error, explain, meaning, state_bytes
from sluice.engine.states import state_of
from sluice.engine.tiles import in_order
from tests.sluice.declare.examples import windows
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
    told = {name: error(named(name)[1]) for name in ("count_1min", "p50_price_1min", "distinct_buyer_1min")}
    assert told == {
        "count_1min": "exact",
        "p50_price_1min": "exact up to 2 values, then within 6.2 %",
        "distinct_buyer_1min": "exact up to 2, then about ±100 %",
    }


def test_no_state_is_larger_than_is_said() -> None:
    for view in BAZAAR.windows:
        rows = in_order(minutes(view, *range(60)))
        said = sum(state_bytes(view, feature) for feature in view.functions)
        assert state_of(view, rows.matrix).nbytes <= said


def test_a_view_with_text_ids_is_explained_too() -> None:
    assert [one.window for one in explain(clinic(), events=3, calls=2) if one.name.startswith("patient")] == [
        "2min"
    ] * 3
