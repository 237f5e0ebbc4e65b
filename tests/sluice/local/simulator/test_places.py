import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.local.simulator import World
from sluice.local.simulator.places import Choices, lay_out
from sluice.local.simulator.places import _pairs_within as pairs_within
from sluice.local.simulator.world import ATM, CHANNELS, POS

pytestmark = pytest.mark.unit

WORLD = World(seed=3, customers=120, terminals=120, days=10)


def test_choices_pick_among_an_owners_own_members():
    choices = Choices.of(np.array([1, 0, 1, 1]), np.array([10, 20, 30, 40]), 2)
    assert choices.pick(np.array([0, 1, 1, 1]), np.array([0.99, 0.0, 0.5, 0.99])).tolist() == [20, 10, 30, 40]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 99)), min_size=1), st.floats(0, 1, exclude_max=True))
def test_a_pick_is_always_one_of_the_owners_members(pairs, lot):
    pairs += [(owner, 100 + owner) for owner in range(5)]
    choices = Choices.of(np.array([owner for owner, _ in pairs]), np.array([member for _, member in pairs]), 5)
    for owner in range(5):
        assert (owner, choices.pick(np.array([owner]), np.array([lot]))[0]) in pairs


def test_traffic_divides_each_owners_weight_over_its_members():
    choices = Choices.of(np.array([0, 0, 1]), np.array([2, 3, 3]), 2)
    assert choices.traffic(np.array([4.0, 10.0]), 5).tolist() == [0, 0, 2, 12, 0]


def test_the_radius_is_closed_and_the_nearest_terminal_is_always_in_reach():
    house, site = np.array([[0.0, 0.0], [90.0, 90.0]]), np.array([[3.0, 4.0], [3.0, 4.1], [40.0, 40.0]])
    rows, columns = pairs_within(house, site, 5.0)
    assert list(zip(rows.tolist(), columns.tolist(), strict=True)) == [(0, 0), (1, 2)]


@pytest.mark.parametrize("channel", range(3), ids=CHANNELS)
def test_every_customer_has_terminals_of_every_kind(channel):
    places = lay_out(WORLD)
    usual = places.usual[channel]
    assert np.diff(usual.offsets).min() >= 1
    assert set(places.kind[usual.members].tolist()) == {channel}


@pytest.mark.parametrize("channel", [POS, ATM])
def test_what_has_a_place_is_used_in_the_customers_own_country(channel):
    places = lay_out(WORLD)
    usual = places.usual[channel]
    owner = np.repeat(np.arange(WORLD.customers), np.diff(usual.offsets))
    assert (places.country[usual.members] == places.home[owner]).all()


@pytest.mark.parametrize("channel", range(3), ids=CHANNELS)
def test_every_country_has_terminals_of_every_kind(channel):
    places = lay_out(WORLD)
    for country in range(8):
        found = places.abroad[channel].pick(np.full(50, country), np.linspace(0, 0.99, 50))
        assert set(places.country[found].tolist()) == {country}
        assert set(places.kind[found].tolist()) == {channel}
