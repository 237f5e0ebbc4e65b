"""Two small worlds, alike in everything but what goes wrong in them."""

import pytest

from sluice.local.simulator import CovariateShift, Injections, NewPattern, SchemaBreak, Simulation, World, simulate

SMALL = World(seed=7, customers=200, terminals=200, days=60)
TROUBLE = Injections(
    late=0.02,
    disorder=0.10,
    duplicates=0.02,
    conflicts=0.01,
    malformed=0.02,
    covariate_shift=CovariateShift(from_day=40, channel="online", amount_factor=1.8, hours=3),
    new_pattern=NewPattern(from_day=30, share=0.03),
    schema_break=SchemaBreak(day=20),
)


@pytest.fixture(scope="session")
def world() -> World:
    return SMALL


@pytest.fixture(scope="session")
def quiet() -> Simulation:
    return simulate(SMALL, Injections.none())


@pytest.fixture(scope="session")
def troubled() -> Simulation:
    return simulate(SMALL, TROUBLE)
