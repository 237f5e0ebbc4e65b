from collections import Counter

import pytest

from sluice.errors import UserError
from sluice.local.simulator import Injections, World, simulate
from sluice.local.simulator.injections import MALFORMED

pytestmark = pytest.mark.unit


def test_the_same_seed_makes_the_same_world_and_another_seed_another(world, troubled):
    again = simulate(world, troubled.injections)
    assert again.transactions.equals(troubled.transactions)
    assert again.chargebacks.equals(troubled.chargebacks)
    assert again.deliveries["transactions"].equals(troubled.deliveries["transactions"])
    assert again.truth.injected.equals(troubled.truth.injected)
    other = simulate(World(seed=8, customers=200, terminals=200, days=60), troubled.injections)
    assert not other.transactions.equals(troubled.transactions)


def test_a_longer_or_larger_world_is_allowed_to_be_another_one_but_stays_in_proportion():
    small, large = (
        simulate(World(customers=100, terminals=60, days=20)),
        simulate(World(customers=400, terminals=60, days=20)),
    )
    assert len(large.transactions) / len(small.transactions) == pytest.approx(4, rel=0.25)


def test_by_default_nothing_goes_wrong():
    assert simulate(World(customers=5, terminals=60, days=3)).injections == Injections.none()


@pytest.mark.parametrize("stream", ["transactions", "chargebacks"])
@pytest.mark.parametrize(("first", "last"), [(0, None), (0, 45), (45, None), (20, 21)])
def test_what_is_produced_is_the_sum_of_its_parts(troubled, stream, first, last):
    tally = troubled.tally(stream, first, last)
    assert tally.produced == len(troubled.arriving(stream, first, last))
    assert tally.produced == tally.clean + tally.duplicates + tally.conflicts + sum(tally.malformed.values())
    assert set(tally.malformed) == set(MALFORMED)


def test_history_and_live_days_divide_a_stream(troubled):
    whole, before, after = (troubled.tally("transactions", *days) for days in [(0, None), (0, 45), (45, None)])
    assert whole.produced == before.produced + after.produced
    assert whole.late == before.late + after.late


def test_the_tally_agrees_with_the_list_of_injected_rows(troubled):
    injected = troubled.truth.injected.to_pandas()
    kinds = Counter(injected[injected.stream == "transactions"].kind)
    end = 10**6
    tally = troubled.tally("transactions", 0, end)
    assert tally.clean == len(troubled.transactions)
    assert (kinds["late"], kinds["disorder"]) == (tally.late, tally.disorder)
    assert (kinds["duplicate"], kinds["conflict"]) == (tally.duplicates, tally.conflicts)
    assert {kind: kinds[kind] for kind in MALFORMED} == tally.malformed


def test_what_arrives_after_the_last_day_is_not_part_of_the_replay(troubled):
    inside, all_of_it = troubled.tally("chargebacks"), troubled.tally("chargebacks", 0, 10**6)
    assert all_of_it.clean == len(troubled.chargebacks)
    assert inside.clean < all_of_it.clean


def test_an_empty_range_of_days_is_empty(troubled):
    assert troubled.tally("transactions", 30, 30).produced == 0
    assert troubled.tally("transactions", 30, 20).produced == 0


def test_an_unknown_stream_gets_the_nearest_one_offered(troubled):
    with pytest.raises(UserError, match="did you mean 'transactions'"):
        troubled.tally("transaction")
