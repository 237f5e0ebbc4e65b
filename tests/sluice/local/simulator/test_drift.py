"""The two changes of the world, told apart from the same world without them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sluice.local.simulator import CovariateShift, Injections, NewPattern, Simulation, World, simulate
from sluice.local.simulator.drift import shift_channel
from sluice.local.simulator.payments import Payments

pytestmark = pytest.mark.unit


def keyed(simulation: Simulation) -> pd.DataFrame:
    frame = simulation.transactions.to_pandas()
    frame["day"] = (frame.event_time - pd.Timestamp(simulation.world.start, tz="UTC")).dt.days
    return frame.set_index("transaction_id")


def test_a_shift_multiplies_amounts_and_moves_hours_within_the_day():
    hour = 3_600_000
    time = np.array([10 * hour, 34 * hour, 47 * hour, 34 * hour])
    channel = np.array([1, 1, 1, 0], np.int8)
    nothing, whole = np.zeros(4, np.int8), np.arange(4)
    before = Payments(time, whole, whole, np.array([1_000, 1_001, 9_999_999, 1_000]), channel, nothing, nothing > 0)
    after = shift_channel(before, CovariateShift(from_day=1, channel="online", amount_factor=1.8, hours=3))
    assert (after.time // hour).tolist() == [10, 37, 26, 34]
    assert after.cents.tolist() == [1_000, 1_802, 10_000_000, 1_000]
    assert after.injected.tolist() == [False, True, True, False]


def test_a_shift_touches_its_channel_from_its_day_on_and_nothing_else(world, quiet):
    shifted = simulate(world, Injections(covariate_shift=CovariateShift(from_day=40)))
    before, after = keyed(quiet), keyed(shifted)
    gone, come = before.loc[before.index.difference(after.index)], after.loc[after.index.difference(before.index)]
    kept = before.index.intersection(after.index)
    assert len(before) == len(after)
    assert len(gone) == len(come) > 500
    assert set(gone.channel) == set(come.channel) == {"online"}
    assert gone.day.min() >= 40
    changed = before.loc[kept].compare(after.loc[kept])
    assert len(changed) == 0


def test_a_shift_moves_the_median_amount_by_its_factor(world, quiet):
    shifted = keyed(simulate(world, Injections(covariate_shift=CovariateShift(from_day=40, amount_factor=3.0))))
    plain = keyed(quiet)
    before = plain[(plain.channel == "online") & (plain.day >= 40)].amount.median()
    after = shifted[(shifted.channel == "online") & (shifted.day >= 40)].amount.median()
    assert after / before == pytest.approx(3, rel=0.05)


def test_the_new_pattern_adds_frauds_and_leaves_every_other_row_equal(world, quiet):
    changed = simulate(world, Injections(new_pattern=NewPattern(from_day=30, share=0.03)))
    added = changed.truth.scenarios.to_pandas().query("fraud_scenario == 'new_pattern'").transaction_id
    assert len(added) > 50
    assert keyed(changed).drop(index=added).equals(keyed(quiet))


def test_the_new_pattern_is_small_amounts_at_night_at_the_owners_own_points_of_sale(world, quiet):
    changed = simulate(world, Injections(new_pattern=NewPattern(from_day=30, share=0.03)))
    added = changed.truth.scenarios.to_pandas().query("fraud_scenario == 'new_pattern'").transaction_id
    rows = keyed(changed).loc[added]
    assert rows.day.min() >= 30
    assert set(rows.channel) == {"pos"}
    assert rows.amount.between(4, 25).all()
    assert (rows.event_time.dt.hour < 5).all()
    nights = rows.groupby(["customer_id", "day"]).size()
    assert nights.min() >= 3


def test_the_new_pattern_has_the_share_it_was_given():
    world = World(seed=2, customers=500, terminals=300, days=60)
    changed = simulate(world, Injections(new_pattern=NewPattern(from_day=20, share=0.02)))
    frame = keyed(changed)
    rows = frame[(frame.channel == "pos") & (frame.day >= 24)]
    names = changed.truth.scenarios.to_pandas().set_index("transaction_id").fraud_scenario
    new = rows.index.map(names) == "new_pattern"
    assert new.mean() == pytest.approx(0.02, rel=0.2)


def test_what_the_shift_does_to_one_channel_the_new_pattern_does_not_feel(world, troubled):
    alone = simulate(world, replace(Injections.none(), new_pattern=troubled.injections.new_pattern))

    def added(simulation: Simulation) -> pd.DataFrame:
        names = simulation.truth.scenarios.to_pandas().set_index("transaction_id").fraud_scenario
        return keyed(simulation).loc[names[names == "new_pattern"].index]

    assert added(troubled).equals(added(alone))
