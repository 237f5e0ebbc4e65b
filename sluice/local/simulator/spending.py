"""How customers spend: a profile for each of them, and the payments that follow from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sluice.local.simulator.chance import stream
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.places import Places
from sluice.local.simulator.world import ATM, CHANNELS, DAY_MS, MAX_CENTS, ONLINE, World

# Relative weight of each hour of the day, by channel.
_HOURS = {
    "pos": (0.8, 0.6, 0.5, 0.5, 0.5, 0.8, 1.5, 3, 5, 5, 5, 6, 7, 6, 5, 5, 6, 7, 7, 5, 3, 2, 1.5, 1),
    "online": (2, 1, 0.8, 0.6, 0.5, 0.5, 1, 2, 3, 4, 4, 4, 5, 4, 4, 4, 4, 5, 6, 8, 9, 9, 7, 4),
    "atm": (0.8, 0.6, 0.4, 0.3, 0.3, 0.5, 1, 3, 5, 6, 6, 6, 7, 6, 6, 6, 6, 7, 6, 4, 3, 2, 1.5, 1),
}
_AMOUNT_FACTOR = np.array([1.0, 1.4, 1.5])
_PREFERENCE = np.array([5.6, 2.8, 1.6])
_TRIPS_PER_DAY = 0.004
_NOTE_CENTS = 1_000


@dataclass(frozen=True)
class Profiles:
    """One row per customer."""

    mean: NDArray[np.float64]
    """Mean amount at a point of sale."""
    deviation: NDArray[np.float64]
    """Standard deviation as a share of the mean, in every channel."""
    rate: NDArray[np.float64]
    """Payments per day."""
    preference: NDArray[np.float64]
    """Share of each channel, customers by channels."""

    def per_day(self, channel: int) -> float:
        """Expected payments per day in a channel, over all customers."""
        return float((self.rate * self.preference[:, channel]).sum())


def draw_profiles(world: World) -> Profiles:
    """The spending profile of every customer."""
    chance = stream(world.seed, "profiles")
    return Profiles(
        mean=np.clip(chance.lognormal(np.log(35), 0.5, world.customers), 5, 120),
        deviation=chance.uniform(0.3, 0.6, world.customers),
        rate=chance.uniform(0.1, 1.9, world.customers) * world.payments_per_day,
        preference=chance.dirichlet(_PREFERENCE, world.customers),
    )


def draw_payments(world: World, places: Places, profiles: Profiles) -> Payments:
    """Every genuine payment of the world, by customer and day."""
    per_day = stream(world.seed, "counts").poisson(profiles.rate[:, None], (world.customers, world.days))
    customer = np.repeat(np.arange(world.customers), per_day.sum(axis=1))
    day = np.repeat(np.tile(np.arange(world.days), world.customers), per_day.ravel())
    channel = _channels(profiles, customer, stream(world.seed, "channels"))
    return Payments(
        time=day * DAY_MS + moments(channel, stream(world.seed, "hours")),
        customer=customer,
        terminal=_terminals(world, places, customer, day, channel),
        cents=_amounts(profiles, customer, channel, stream(world.seed, "amounts")),
        channel=channel,
        scenario=np.zeros(len(customer), np.int8),
        injected=np.zeros(len(customer), np.bool_),
    )


def to_cents(amount: NDArray[np.float64]) -> NDArray[np.int64]:
    """Amounts in whole cents, between one cent and the greatest amount that a payment may have."""
    return np.clip(np.rint(amount * 100), 1, MAX_CENTS).astype(np.int64)


def moments(channel: NDArray[np.int8], chance: np.random.Generator) -> NDArray[np.int64]:
    """Milliseconds since midnight, by the hours of each channel."""
    lot, moment = chance.random(len(channel)), np.empty(len(channel))
    for code, name in enumerate(CHANNELS):
        upto = np.concatenate([[0.0], np.cumsum(_HOURS[name])])
        here = channel == code
        moment[here] = np.interp(lot[here] * upto[-1], upto, np.arange(25))
    return np.minimum((moment * 3_600_000).astype(np.int64), DAY_MS - 1)


def _channels(profiles: Profiles, customer: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int8]:
    lot, upto = chance.random(len(customer)), profiles.preference.cumsum(axis=1)
    code: NDArray[np.int8] = ((lot >= upto[customer, 0]).astype(np.int8) + (lot >= upto[customer, 1])).astype(np.int8)
    return code


def _amounts(
    profiles: Profiles, customer: NDArray[np.int64], channel: NDArray[np.int8], chance: np.random.Generator
) -> NDArray[np.int64]:
    """Gamma-distributed cents; cash comes in notes."""
    shape = profiles.deviation[customer] ** -2.0
    amount = chance.standard_gamma(shape) / shape * profiles.mean[customer] * _AMOUNT_FACTOR[channel]
    notes = np.maximum(np.rint(amount * 100 / _NOTE_CENTS), 1).astype(np.int64) * _NOTE_CENTS
    return np.where(channel == ATM, notes, to_cents(amount))


def _terminals(
    world: World, places: Places, customer: NDArray[np.int64], day: NDArray[np.int64], channel: NDArray[np.int8]
) -> NDArray[np.int64]:
    lot = stream(world.seed, "terminals").random(len(customer))
    where = _stays(world, places)[customer, day]
    travels = (where >= 0) & (channel != ONLINE)
    terminal = np.empty(len(customer), np.int64)
    for code in range(3):
        at_home, away = (channel == code) & ~travels, (channel == code) & travels
        terminal[at_home] = places.usual[code].pick(customer[at_home], lot[at_home])
        terminal[away] = places.abroad[code].pick(where[away].astype(np.int64), lot[away])
    return terminal


def _stays(world: World, places: Places) -> NDArray[np.int16]:
    """The foreign country in which each customer is on each day, -1 at home."""
    chance = stream(world.seed, "trips")
    where = np.full((world.customers, world.days), -1, np.int16)
    customer, day = np.nonzero(chance.random((world.customers, world.days)) < _TRIPS_PER_DAY)
    step = chance.integers(1, len(world.countries), size=len(customer))
    country = (places.home[customer] + step) % len(world.countries)
    trip, on = spans(day, chance.integers(3, 11, size=len(customer)), world.days)
    where[customer[trip], on] = country[trip]
    return where


def spans(
    first: NDArray[np.int64], length: NDArray[np.int64] | int, days: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (which span, day) for every day in [0, days) that a span from `first` on covers."""
    lengths = np.broadcast_to(length, first.shape)
    which = np.repeat(np.arange(len(first)), lengths)
    day = first[which] + np.arange(len(which)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    inside = (day >= 0) & (day < days)
    return which[inside], day[inside]
