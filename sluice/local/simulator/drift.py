"""Changes of the world itself: a shift of what customers do, and a fraud that nobody has seen before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sluice.local.simulator.chance import evenly, stream
from sluice.local.simulator.fraud import Spells
from sluice.local.simulator.injections import CovariateShift, NewPattern
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.places import Places
from sluice.local.simulator.spending import Profiles, spans, to_cents
from sluice.local.simulator.world import CHANNELS, DAY_MS, MAX_CENTS, NEW_PATTERN, POS, World

_NIGHTS = 4
_TAPS = (3, 6)
_LAST_HOUR = 5


def shift_channel(payments: Payments, shift: CovariateShift | None) -> Payments:
    """The customers' own payments after a covariate shift."""
    if shift is None:
        return payments
    moved = (payments.channel == CHANNELS.index(shift.channel)) & (payments.day >= shift.from_day)
    moment = (payments.time % DAY_MS + shift.hours * 3_600_000) % DAY_MS
    cents = np.clip(np.rint(payments.cents * shift.amount_factor), 1, MAX_CENTS).astype(np.int64)
    return replace(
        payments,
        time=np.where(moved, payments.day * DAY_MS + moment, payments.time),
        cents=np.where(moved, cents, payments.cents),
        injected=payments.injected | moved,
    )


def contactless_cards(world: World, profiles: Profiles, pattern: NewPattern | None) -> Spells:
    """The cards that the new pattern abuses, each for four nights."""
    nobody = np.zeros(0, np.int64)
    if pattern is None:
        return Spells(nobody, nobody, _NIGHTS)
    chance = stream(world.seed, "new_pattern/cards")
    pace = pattern.share * profiles.per_day(POS) / (_NIGHTS * sum(_TAPS) / 2)
    first = evenly(pace, pattern.from_day, world.days, chance)
    return Spells(chance.integers(world.customers, size=len(first)), first, _NIGHTS)


def contactless_payments(world: World, places: Places, cards: Spells) -> Payments:
    """Three to six payments of 4 to 25 a night at terminals the owner uses too, between midnight and five."""
    chance = stream(world.seed, "new_pattern/payments")
    which, day = spans(cards.first_day, _NIGHTS, world.days)
    tap = np.repeat(np.arange(len(which)), chance.integers(_TAPS[0], _TAPS[1] + 1, size=len(which)))
    customer = cards.key[which[tap]]
    moment = chance.integers(0, _LAST_HOUR * 3_600_000, size=len(tap))
    return Payments(
        time=day[tap] * DAY_MS + moment,
        customer=customer,
        terminal=places.usual[POS].pick(customer, chance.random(len(tap))),
        cents=to_cents(chance.uniform(4, 25, len(tap))),
        channel=np.full(len(tap), POS, np.int8),
        scenario=_all(tap, NEW_PATTERN),
        injected=np.ones(len(tap), np.bool_),
    )


def _all(rows: NDArray[np.int64], scenario: int) -> NDArray[np.int8]:
    return np.full(len(rows), scenario, np.int8)
