import datetime as dt

import pytest

from sluice.errors import UserError
from sluice.local.simulator import World

pytestmark = pytest.mark.unit


def test_terminals_divide_into_sixty_twenty_five_and_fifteen_percent():
    assert World(terminals=2_000).kinds() == (1_200, 500, 300)


def test_a_day_begins_at_midnight_utc():
    assert World().midnight(0) == 1_767_225_600_000_000
    assert World().midnight(2) == 1_767_225_600_000_000 + 2 * 86_400_000_000
    assert World().date(31) == dt.date(2026, 2, 1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seed": -1}, "World(seed): -1 is not possible"),
        ({"customers": 0}, "World(customers): 0 is not possible"),
        ({"days": 0}, "World(days): 0 is not possible"),
        ({"terminals": 40}, "World(terminals): 40 is not possible"),
        ({"payments_per_day": 0.0}, "World(payments_per_day): 0.0 is not possible"),
        ({"radius": -1.0}, "World(radius): -1.0 is not possible"),
        ({"countries": ("DE",)}, "World(countries): ('DE',) is not possible"),
    ],
)
def test_an_impossible_world_is_refused_by_the_field(wrong, message):
    with pytest.raises(UserError) as refused:
        World(**wrong)
    assert str(refused.value).startswith(message)
    assert refused.value.allowed


def test_the_smallest_number_of_terminals_is_named_and_works():
    with pytest.raises(UserError, match=r"allowed: 50 or more"):
        World(terminals=49)
    assert min(World(terminals=50).kinds()) == 8
