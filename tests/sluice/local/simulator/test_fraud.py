"""The fraud scenarios, checked on the finished tables against their definitions."""

import functools

import pandas as pd
import pytest

from sluice.local.simulator import Fraud, Simulation, World, simulate

pytestmark = pytest.mark.unit


def rows(simulation: Simulation) -> pd.DataFrame:
    """Transactions with scenario and day."""
    frame = simulation.transactions.to_pandas()
    frame = frame.merge(simulation.truth.scenarios.to_pandas(), on="transaction_id", how="left")
    frame["day"] = (frame.event_time - pd.Timestamp(simulation.world.start, tz="UTC")).dt.days
    return frame


@functools.cache
def demo(seed: int) -> pd.DataFrame:
    """The world of the demo."""
    return rows(simulate(World(seed=seed)))


@pytest.fixture(scope="module")
def frame(quiet: Simulation) -> pd.DataFrame:
    return rows(quiet)


def compromised(simulation: Simulation, frame: pd.DataFrame, what: str, column: str) -> pd.Series:
    """True on rows whose key is in a spell of that kind on that day."""
    spells = simulation.truth.compromises.to_pandas()
    hit = pd.Series(data=False, index=frame.index)
    for spell in spells[spells.what == what].itertuples():
        hit |= (frame[column] == spell.key) & frame.day.between(spell.first_day, spell.until_day - 1)
    return hit


def test_every_amount_above_the_limit_is_a_fraud(quiet, frame):
    above = frame[frame.amount > quiet.world.fraud.large_amount]
    assert len(above) > 0
    assert above.fraud_scenario.notna().all()
    assert (frame[frame.fraud_scenario == "large_amount"].amount > 400).all()


def test_every_payment_at_a_compromised_terminal_is_a_fraud_and_no_other_is_called_one(quiet, frame):
    hit = compromised(quiet, frame, "terminal", "terminal_id")
    assert hit.sum() > 20
    assert frame[hit].fraud_scenario.notna().all()
    assert hit[frame.fraud_scenario == "compromised_terminal"].all()


def test_a_third_of_a_stolen_cards_payments_are_frauds_at_about_five_times_the_amount():
    simulation = simulate(World(seed=11, customers=300, terminals=200, days=60, fraud=Fraud(compromised_cards=0.1)))
    frame = rows(simulation)
    hit = compromised(simulation, frame, "card", "customer_id") & (frame.fraud_scenario != "card_not_present")
    used = frame.fraud_scenario == "compromised_card"
    assert hit[used].all()
    assert used[hit].mean() == pytest.approx(1 / 3, abs=0.04)
    ratio = frame[used & (frame.channel == "pos")].amount.mean() / frame[~used & (frame.channel == "pos")].amount.mean()
    assert ratio == pytest.approx(5, rel=0.15)


def test_a_burst_is_two_to_four_small_amounts_then_one_to_three_large_ones_at_web_shops(frame):
    rows = frame[frame.fraud_scenario == "card_not_present"].sort_values(["customer_id", "event_time"])
    assert set(rows.channel) == {"online"}
    apart = rows.event_time.diff().dt.total_seconds() > 300
    bursts = rows.groupby((apart | (rows.customer_id.diff() != 0)).cumsum())
    assert len(bursts) > 5
    for _, burst in bursts:
        sizes = ["small" if 0.5 <= amount <= 4 else "large" for amount in burst.amount]
        assert sizes == sorted(sizes, reverse=True)
        assert 2 <= sizes.count("small") <= 4
        assert 1 <= sizes.count("large") <= 3
        assert burst.amount.between(60, 350).sum() == sizes.count("large")
        assert burst.country.nunique() == 1


def test_most_bursts_happen_at_night_and_abroad(quiet, frame):
    bursts = frame[frame.fraud_scenario == "card_not_present"]
    night = (bursts.event_time.dt.hour < 6) | (bursts.event_time.dt.hour == 23)
    home = frame[frame.channel != "online"].groupby("customer_id").country.agg(lambda c: c.mode()[0])
    assert night.mean() > 0.6
    assert (bursts.country != bursts.customer_id.map(home)).mean() > 0.6


def test_without_fraud_settings_nothing_is_compromised():
    honest = Fraud(large_amount=1e9, compromised_terminals=(0, 0, 0), compromised_cards=0, bursts=0)
    simulation = simulate(World(customers=60, terminals=60, days=10, fraud=honest))
    assert len(simulation.truth.scenarios) == 0
    assert len(simulation.truth.compromises) == 0
    assert len(simulation.chargebacks) == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_the_demos_world_has_one_percent_fraud_and_enough_in_every_channel_to_train_on(seed):
    frame = demo(seed)
    fraud = frame.fraud_scenario.notna()
    assert 300_000 < len(frame) < 400_000
    assert 0.008 < fraud.mean() < 0.012
    first = frame[fraud & (frame.day < 140)].groupby("channel").size()
    assert set(first.index) == {"pos", "online", "atm"}
    assert first.min() >= 400


def test_fraud_keeps_its_share_from_the_first_weeks_to_the_last():
    frame = demo(1)
    share = frame.fraud_scenario.notna().groupby(frame.day // 20).mean()
    assert share.max() / share.min() < 1.5
