"""The four fraud scenarios that a world holds from its first day to its last."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sluice.local.simulator.chance import across, evenly, stream
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.places import Places
from sluice.local.simulator.spending import Profiles, spans, to_cents
from sluice.local.simulator.world import (
    CARD,
    CHANNELS,
    DAY_MS,
    GENUINE,
    LARGE_AMOUNT,
    MAX_CENTS,
    NOT_PRESENT,
    ONLINE,
    TERMINAL,
    World,
)

CARD_DAYS = 14
CARD_SHARE = 1 / 3
CARD_FACTOR = 5
_PROBES, _HITS = (2, 4), (1, 3)
_NIGHT, _FOREIGN = 0.7, 0.75


@dataclass(frozen=True)
class Spells:
    """Compromises: which key (a position from 0) from which day on, each for the same number of days."""

    key: NDArray[np.int64]
    first_day: NDArray[np.int64]
    length: int

    def calendar(self, keys: int, days: int) -> NDArray[np.bool_]:
        """Keys by days, true while compromised."""
        table = np.zeros((keys, days), np.bool_)
        which, day = spans(self.first_day, self.length, days)
        table[self.key[which], day] = True
        return table


def compromised_terminals(world: World, places: Places, profiles: Profiles) -> Spells:
    """Terminals of every channel fall one after another; some were already compromised before the first day."""
    fraud, keys, firsts = world.fraud, [], []
    for channel, name in enumerate(CHANNELS):
        chance = stream(world.seed, f"fraud/terminals/{name}")
        terminals = np.flatnonzero(places.kind == channel)
        pace = fraud.compromised_terminals[channel] * len(terminals) / fraud.terminal_days
        first = evenly(pace, -fraud.terminal_days, world.days, chance)
        payments = profiles.rate * profiles.preference[:, channel]
        traffic = places.usual[channel].traffic(payments, world.terminals)[terminals]
        keys.append(terminals[across(traffic, len(first), chance)])
        firsts.append(first)
    return Spells(np.concatenate(keys), np.concatenate(firsts), fraud.terminal_days)


def compromised_cards(world: World, profiles: Profiles) -> Spells:
    """Cards that are stolen, at a constant pace."""
    chance = stream(world.seed, "fraud/cards")
    pace = world.fraud.compromised_cards / CARD_SHARE * world.customers / CARD_DAYS
    first = evenly(pace, -CARD_DAYS, world.days, chance)
    return Spells(across(profiles.rate, len(first), chance), first, CARD_DAYS)


def use_terminals(payments: Payments, spells: Spells, world: World) -> Payments:
    """All payments at a terminal while it is compromised become frauds."""
    calendar = spells.calendar(world.terminals, world.days)
    return payments.mark(calendar[payments.terminal, payments.day], TERMINAL)


def use_cards(payments: Payments, spells: Spells, world: World) -> Payments:
    """A third of the payments of a compromised card become frauds of five times the amount."""
    calendar = spells.calendar(world.customers, world.days)
    drawn = stream(world.seed, "fraud/cards/used").random(len(payments)) < CARD_SHARE
    hit = calendar[payments.customer, payments.day] & drawn
    cents = np.where(hit, np.minimum(payments.cents * CARD_FACTOR, MAX_CENTS), payments.cents)
    return replace(payments.mark(hit, CARD), cents=cents)


def mark_large(payments: Payments, world: World) -> Payments:
    """Whatever exceeds the limit is a fraud, if it is not one already."""
    large = payments.cents > round(world.fraud.large_amount * 100)
    return payments.mark(large & (payments.scenario == GENUINE), LARGE_AMOUNT)


def card_not_present(world: World, places: Places, profiles: Profiles) -> Payments:
    """Bursts on one card at web shops: a few small probes, then large amounts, mostly at night and abroad."""
    chance = stream(world.seed, "fraud/bursts")
    mean_length = sum(_PROBES) / 2 + sum(_HITS) / 2
    day = evenly(world.fraud.bursts * profiles.per_day(ONLINE) / mean_length, 0, world.days, chance)
    customer = chance.integers(world.customers, size=len(day))
    probes = chance.integers(_PROBES[0], _PROBES[1] + 1, size=len(day))
    lengths = probes + chance.integers(_HITS[0], _HITS[1] + 1, size=len(day))
    burst = np.repeat(np.arange(len(day)), lengths)
    begin = np.cumsum(lengths) - lengths
    is_probe = np.arange(len(burst)) - begin[burst] < probes[burst]
    gap = chance.integers(20_000, 300_000, size=len(burst)).cumsum()
    time = (day * DAY_MS + _start_moments(len(day), chance))[burst] + gap - gap[begin][burst]
    amount = np.where(is_probe, chance.uniform(0.5, 4.0, len(burst)), chance.uniform(60.0, 350.0, len(burst)))
    shop = _burst_shops(world, places, customer, chance)[is_probe.astype(np.int64), burst]
    made = Payments(
        time,
        customer[burst],
        shop,
        to_cents(amount),
        np.full(len(burst), ONLINE, np.int8),
        np.full(len(burst), NOT_PRESENT, np.int8),
        np.zeros(len(burst), np.bool_),
    )
    return made.take(made.day < world.days)


def _start_moments(count: int, chance: np.random.Generator) -> NDArray[np.int64]:
    """Milliseconds since midnight: 23:00 to 05:00 for most bursts, any time for the others."""
    night = (23 + 6 * chance.random(count)) % 24
    return np.where(chance.random(count) < _NIGHT, night * 3_600_000, chance.random(count) * DAY_MS).astype(np.int64)


def _burst_shops(
    world: World, places: Places, customer: NDArray[np.int64], chance: np.random.Generator
) -> NDArray[np.int64]:
    """Two web shops per burst in one country, which for most bursts is not the customer's."""
    step = chance.integers(1, len(world.countries), size=len(customer))
    away = chance.random(len(customer)) < _FOREIGN
    country = (places.home[customer] + np.where(away, step, 0)) % len(world.countries)
    return np.stack([places.abroad[ONLINE].pick(country, chance.random(len(customer))) for _ in range(2)])
