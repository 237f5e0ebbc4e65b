"""One simulated world: its clean streams, how they arrive, and the truth about both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.errors import UserError
from sluice.local.simulator import drift, fraud, tables
from sluice.local.simulator.delivery import FATES, TIMINGS, deliver
from sluice.local.simulator.injections import MALFORMED, Injections
from sluice.local.simulator.payments import Payments
from sluice.local.simulator.places import Places, lay_out
from sluice.local.simulator.spending import draw_payments, draw_profiles
from sluice.local.simulator.truth import Truth, tell
from sluice.local.simulator.world import World


@dataclass(frozen=True)
class Tally:
    """How many rows of one stream arrive in a range of days, and what they are; `produced` is the sum of the parts."""

    produced: int
    clean: int
    duplicates: int
    conflicts: int
    malformed: Mapping[str, int]
    late: int
    """Among the clean."""
    disorder: int
    """Among the clean."""


@dataclass(frozen=True)
class Simulation:
    """A world after its last day."""

    world: World
    injections: Injections
    transactions: pa.Table
    """Every payment once, ascending by time."""
    chargebacks: pa.Table
    """One event per fraud, ascending by time reported; some are reported after the world's last day."""
    truth: Truth
    deliveries: Mapping[str, pa.Table]
    """Each stream as it arrives, see `deliver`."""

    def arriving(self, stream: str, from_day: int = 0, until_day: int | None = None) -> pa.Table:
        """The deliveries of a stream that arrive on days from `from_day` to before `until_day` (the world's end)."""
        if stream not in self.deliveries:
            raise UserError.unknown("stream", stream, self.deliveries, where="Simulation.arriving")
        table, end = self.deliveries[stream], self.world.days if until_day is None else until_day
        arrival = table.column("arrival").to_numpy()
        first, last = np.searchsorted(arrival, [self.world.midnight(from_day), self.world.midnight(end)])
        return table.slice(first, max(last - first, 0))

    def tally(self, stream: str, from_day: int = 0, until_day: int | None = None) -> Tally:
        """What arrives in a range of days, counted."""
        rows = self.arriving(stream, from_day, until_day)
        fate = np.bincount(rows.column("fate").to_numpy(), minlength=len(FATES)).tolist()
        timing = np.bincount(rows.column("timing").to_numpy(), minlength=len(TIMINGS)).tolist()
        counts = dict(zip(FATES, fate, strict=True))
        return Tally(
            produced=len(rows),
            clean=counts["clean"],
            duplicates=counts["duplicate"],
            conflicts=counts["conflict"],
            malformed={kind: counts[kind] for kind in MALFORMED},
            late=timing[TIMINGS.index("late")],
            disorder=timing[TIMINGS.index("disorder")],
        )


def simulate(world: World, injections: Injections | None = None) -> Simulation:
    """The whole world, a pure function of its arguments; without injections nothing goes wrong but fraud."""
    wrong = injections or Injections.none()
    places = lay_out(world)
    payments, compromises = _payments(world, places, wrong)
    ids, ordered = payments.in_time_order()
    transactions = tables.transactions(world, places, ids, ordered)
    chargebacks = tables.chargebacks(world, ids, ordered)
    deliveries = {
        "transactions": deliver(transactions, "transactions", world.seed, wrong),
        "chargebacks": deliver(chargebacks, "chargebacks", world.seed, wrong.on_chargebacks()),
    }
    truth = tell(ids, ordered, transactions, compromises, deliveries)
    return Simulation(world, wrong, transactions, chargebacks, truth, deliveries)


def _payments(world: World, places: Places, wrong: Injections) -> tuple[Payments, Mapping[str, fraud.Spells]]:
    """All payments, frauds marked, and what was compromised."""
    profiles = draw_profiles(world)
    terminals = fraud.compromised_terminals(world, places, profiles)
    cards = fraud.compromised_cards(world, profiles)
    tapped = drift.contactless_cards(world, profiles, wrong.new_pattern)
    payments = drift.shift_channel(draw_payments(world, places, profiles), wrong.covariate_shift)
    payments = fraud.use_cards(fraud.use_terminals(payments, terminals, world), cards, world)
    payments = payments.then(fraud.card_not_present(world, places, profiles))
    payments = payments.then(drift.contactless_payments(world, places, tapped))
    spells = {"terminal": terminals, "card": cards, "contactless_card": tapped}
    return fraud.mark_large(payments, world), spells
