"""What a simulated world is made of: its size, its seed and its fraud; everything else follows from these."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sluice.clock import MICROSECONDS, from_datetime
from sluice.errors import UserError

CHANNELS = ("pos", "online", "atm")
POS, ONLINE, ATM = range(3)
TERMINAL_SHARES = (0.60, 0.25, 0.15)
"""How the terminals divide into points of sale, web shops and cash machines."""

DAY_MS = 86_400_000
DAY_US = 86_400 * MICROSECONDS
MAX_CENTS = 10_000_000

GENUINE, LARGE_AMOUNT, TERMINAL, CARD, NOT_PRESENT, NEW_PATTERN = range(6)
SCENARIOS = (
    "genuine",
    "large_amount",
    "compromised_terminal",
    "compromised_card",
    "card_not_present",
    "new_pattern",
)


@dataclass(frozen=True, kw_only=True)
class Fraud:
    """How much fraud of each kind the world holds from its first day to its last, as shares of payments.

    The first three are those of the Fraud Detection Handbook (chapter 3, "Transaction data simulator").
    """

    large_amount: float = 400.0
    """Every payment above this amount is a fraud."""
    compromised_terminals: tuple[float, float, float] = (0.004, 0.004, 0.010)
    """Share of the terminals of each channel that is compromised at any time; all their payments are frauds."""
    terminal_days: int = 42
    """How long a terminal stays compromised."""
    compromised_cards: float = 0.003
    """Share of payments made with a compromised card at five times the amount, for two weeks each."""
    bursts: float = 0.008
    """Share of online payments that belongs to card-not-present bursts."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A world of card payments; the same values make the same payments, byte for byte."""

    seed: int = 1
    customers: int = 1_000
    terminals: int = 2_000
    days: int = 200
    start: dt.date = dt.date(2026, 1, 1)
    payments_per_day: float = 1.8
    """Mean over customers; a customer's own rate lies between 0.1 and 1.9 times this."""
    radius: float = 15.0
    """A customer pays at terminals within this distance, on a plane of 100 by 100 per country."""
    countries: tuple[str, ...] = ("DE", "FR", "NL", "AT", "PL", "IT", "ES", "US")
    """The n-th country has 1/n times the customers and terminals of the first."""
    fraud: Fraud = field(default_factory=Fraud)

    def __post_init__(self) -> None:
        least = self._fewest_terminals()
        _demand(self.seed >= 0, "seed", self.seed, "0 or more")
        _demand(self.customers >= 1, "customers", self.customers, "1 or more")
        _demand(1 <= self.days <= 3_650, "days", self.days, "1 to 3,650")
        _demand(self.terminals >= least, "terminals", self.terminals, f"{least} or more, one per kind and country")
        _demand(0 < self.payments_per_day <= 50, "payments_per_day", self.payments_per_day, "above 0, at most 50")
        _demand(self.radius > 0, "radius", self.radius, "above 0")
        _demand(len(self.countries) >= 2, "countries", self.countries, "two or more, or nobody could travel")

    def _fewest_terminals(self) -> int:
        fewest = 1
        while min(self.kinds(fewest)) < len(self.countries):
            fewest += 1
        return fewest

    def kinds(self, terminals: int | None = None) -> tuple[int, int, int]:
        """How many terminals there are of each channel."""
        total = self.terminals if terminals is None else terminals
        online, atm = round(total * TERMINAL_SHARES[ONLINE]), round(total * TERMINAL_SHARES[ATM])
        return total - online - atm, online, atm

    def midnight(self, day: int) -> int:
        """Microseconds since the epoch at which `day` (counted from 0) begins."""
        first = dt.datetime.combine(self.start, dt.time(), tzinfo=dt.UTC)
        return from_datetime(first) + day * DAY_US

    def date(self, day: int) -> dt.date:
        """The calendar date of `day` (counted from 0)."""
        return self.start + dt.timedelta(days=day)


def _demand(holds: bool, field_name: str, value: object, allowed: str) -> None:
    if not holds:
        raise UserError(f"{value!r} is not possible", where=f"World({field_name})", allowed=allowed)
