import numpy as np
import pytest

from sluice.local.simulator import Simulation, World
from sluice.local.simulator.places import lay_out
from sluice.local.simulator.spending import draw_payments, draw_profiles, moments, spans, to_cents
from sluice.local.simulator.world import ATM, DAY_MS, ONLINE, POS

pytestmark = pytest.mark.unit

WORLD = World(seed=5, customers=300, terminals=200, days=40)


@pytest.fixture(scope="module")
def drawn():
    places, profiles = lay_out(WORLD), draw_profiles(WORLD)
    return places, profiles, draw_payments(WORLD, places, profiles)


def test_customers_pay_as_often_as_their_rate_says(drawn):
    _, profiles, payments = drawn
    counts = np.bincount(payments.customer, minlength=WORLD.customers)
    expected = profiles.rate * WORLD.days
    assert (np.abs(counts - expected) < 6 * np.sqrt(expected) + 6).all()
    assert len(payments) == pytest.approx(expected.sum(), rel=0.03)


def test_the_mean_amount_at_points_of_sale_is_the_customers_own(drawn):
    _, profiles, payments = drawn
    rows = payments.channel == POS
    paid = np.bincount(payments.customer[rows], payments.cents[rows] / 100, WORLD.customers)
    counts = np.bincount(payments.customer[rows], minlength=WORLD.customers)
    often = counts >= 40
    assert often.sum() > 50
    assert np.median(paid[often] / counts[often] / profiles.mean[often]) == pytest.approx(1, abs=0.03)


def test_channels_are_used_as_each_customer_prefers(drawn):
    _, profiles, payments = drawn
    for channel in (POS, ONLINE, ATM):
        expected = profiles.per_day(channel) * WORLD.days
        assert (payments.channel == channel).sum() == pytest.approx(expected, rel=0.05)


def test_cash_comes_in_notes(drawn):
    payments = drawn[2]
    assert (payments.cents[payments.channel == ATM] % 1_000 == 0).all()
    assert payments.cents[payments.channel == ATM].min() >= 1_000


def test_terminals_suit_the_channel(drawn):
    places, _, payments = drawn
    assert (places.kind[payments.terminal] == payments.channel).all()


def test_some_customers_travel_and_most_stay_at_home(drawn):
    places, _, payments = drawn
    rows = payments.channel != ONLINE
    abroad = (places.country[payments.terminal] != places.home[payments.customer])[rows].mean()
    assert 0.01 < abroad < 0.06


def test_a_traveller_is_in_one_foreign_country_a_day(drawn):
    places, _, payments = drawn
    here = places.country[payments.terminal]
    away = (payments.channel != ONLINE) & (here != places.home[payments.customer])
    days = {}
    for customer, day, country in zip(payments.customer[away], payments.day[away], here[away], strict=True):
        days.setdefault((customer, day), set()).add(country)
    assert days
    assert all(len(countries) == 1 for countries in days.values())


def test_hours_follow_the_channel():
    chance = np.random.default_rng(0)
    hour = {channel: moments(np.full(20_000, channel, np.int8), chance) // 3_600_000 for channel in (POS, ONLINE, ATM)}
    assert 10 < np.median(hour[POS]) < 16
    assert np.median(hour[ONLINE]) > np.median(hour[POS])
    assert (hour[POS] < 5).mean() < 0.05
    assert all(hours.min() == 0 and hours.max() == 23 for hours in hour.values())


def test_every_payment_lies_in_the_world(quiet: Simulation):
    times = quiet.transactions["event_time"].cast("int64").to_numpy()
    assert times.min() >= quiet.world.midnight(0)
    assert times.max() < quiet.world.midnight(quiet.world.days)


def test_cents_are_rounded_and_bounded():
    assert to_cents(np.array([0.0, 0.004, 1.115, 2.5, 1e9])).tolist() == [1, 1, 112, 250, 10_000_000]


def test_spans_cover_their_days_and_stop_at_the_worlds_edges():
    which, day = spans(np.array([-2, 3, 8]), 3, 10)
    assert list(zip(which.tolist(), day.tolist(), strict=True)) == [(0, 0), (1, 3), (1, 4), (1, 5), (2, 8), (2, 9)]


def test_a_moment_never_reaches_the_next_midnight():
    class Last:
        def random(self, count):
            return np.full(count, np.nextafter(1, 0))

    assert moments(np.array([0, 1, 2], np.int8), Last()).max() == DAY_MS - 1
