"""What may go wrong, each switchable alone: the configuration of every injection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from sluice.errors import UserError
from sluice.local.simulator.tables import SCHEMAS
from sluice.local.simulator.world import CHANNELS, DAY_US

MALFORMED = ("unparsable", "missing_id", "negative_amount", "unknown_channel", "null_time")
"""The kinds of malformed row, all equally frequent."""

HOUR, MINUTE, SECOND = 3_600_000_000, 60_000_000, 1_000_000
LATE_DELAY = (2 * HOUR, 48 * HOUR)
DISORDER_DELAY = (SECOND, 15 * MINUTE)
DUPLICATE_GAP = (SECOND, DAY_US)
CONFLICT_GAP = (SECOND, 10 * MINUTE)
"""Microseconds. Disorder and conflict together stay below an hour, so neither makes an event late."""


@dataclass(frozen=True, kw_only=True)
class CovariateShift:
    """From a day on, customers behave differently in one channel; what makes a payment a fraud stays the same."""

    from_day: int
    channel: str = "online"
    amount_factor: float = 1.8
    hours: int = 3
    """The time of day moves on by this many hours, past midnight into the morning of the same day."""

    def __post_init__(self) -> None:
        if self.channel not in CHANNELS:
            raise UserError.unknown("channel", self.channel, CHANNELS, where="CovariateShift(channel)")
        if self.amount_factor <= 0:
            raise UserError(
                f"{self.amount_factor} is not possible", where="CovariateShift(amount_factor)", allowed="above 0"
            )


@dataclass(frozen=True, kw_only=True)
class NewPattern:
    """From a day on, stolen contactless cards make many small payments at night in the owner's own neighbourhood."""

    from_day: int
    share: float = 0.012
    """Frauds of the new pattern per genuine payment at points of sale."""

    def __post_init__(self) -> None:
        _demand_share(self.share, "NewPattern(share)")


@dataclass(frozen=True, kw_only=True)
class SchemaBreak:
    """In the batch file that holds a day, one column has another name or is text."""

    day: int
    stream: Literal["transactions", "chargebacks"] = "transactions"
    column: str = "amount"
    how: Literal["rename", "retype"] = "rename"

    def __post_init__(self) -> None:
        if self.stream not in SCHEMAS:
            raise UserError.unknown("stream", self.stream, SCHEMAS, where="SchemaBreak(stream)")
        if self.column not in SCHEMAS[self.stream].names:
            raise UserError.unknown("column", self.column, SCHEMAS[self.stream].names, where="SchemaBreak(column)")
        if self.how not in {"rename", "retype"}:
            raise UserError.unknown("break", self.how, ["rename", "retype"], where="SchemaBreak(how)")


@dataclass(frozen=True, kw_only=True)
class Injections:
    """Everything that may go wrong; None switches one off, and no switch changes what the others do.

    The rates are shares of the clean transactions; duplicates and disorder befall chargebacks as well.
    """

    late: float | None = None
    """Events that arrive 2 to 48 hours after they happened."""
    disorder: float | None = None
    """Events that arrive up to 15 minutes after they happened, behind later ones."""
    duplicates: float | None = None
    """Events that arrive a second time, byte for byte, within a day."""
    conflicts: float | None = None
    """Events that arrive a second time under the same id with another amount, within ten minutes."""
    malformed: float | None = None
    """Additional rows that no contract accepts."""
    covariate_shift: CovariateShift | None = None
    new_pattern: NewPattern | None = None
    schema_break: SchemaBreak | None = None

    def __post_init__(self) -> None:
        for name in ("late", "disorder", "duplicates", "conflicts", "malformed"):
            _demand_share(getattr(self, name) or 0.0, f"Injections({name})")
        # One lot decides between the two of a pair, so that an event is never both.
        _demand_share((self.late or 0) + (self.disorder or 0), "Injections(late + disorder)")
        _demand_share((self.duplicates or 0) + (self.conflicts or 0), "Injections(duplicates + conflicts)")

    @classmethod
    def none(cls) -> Injections:
        """A quiet world: every event once, in order, on time, and no change in behaviour."""
        return cls()

    @classmethod
    def demo(cls, days: int = 200, live_days: int = 60) -> Injections:
        """Everything at once, for a replay of the last `live_days` of `days`.

        The new pattern begins after a sixth of them (live day 10 of 60), the online channel shifts after half; the
        schema break lies in the history.
        """
        live = days - live_days
        if not 0 < live_days < days:
            raise UserError(f"{live_days} live days of {days}", where="Injections.demo", allowed="1 to days - 1")
        return cls(
            late=0.01,
            disorder=0.05,
            duplicates=0.01,
            conflicts=0.002,
            malformed=0.003,
            covariate_shift=CovariateShift(from_day=live + live_days // 2),
            new_pattern=NewPattern(from_day=live + live_days // 6, share=0.02),
            schema_break=SchemaBreak(day=live * 6 // 7),
        )

    def on_chargebacks(self) -> Injections:
        """What befalls the second stream: a chargeback is never late, in conflict or malformed."""
        return replace(self, late=None, conflicts=None, malformed=None)


def _demand_share(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise UserError(f"{value} is not a share", where=where, allowed="0 to 1, or None")
