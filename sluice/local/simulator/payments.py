"""Payments while they are being made up: columns of integers, one row per payment."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from sluice.errors import UserError
from sluice.local.simulator.world import DAY_MS

_RANKS = 500
"""Payments that one millisecond can hold; the other 500 numbers of it are left to malformed rows."""


@dataclass(frozen=True)
class Payments:
    """Columns of equal length; times are milliseconds since the world's first midnight, keys are positions from 0."""

    time: NDArray[np.int64]
    customer: NDArray[np.int64]
    terminal: NDArray[np.int64]
    cents: NDArray[np.int64]
    channel: NDArray[np.int8]
    scenario: NDArray[np.int8]
    injected: NDArray[np.bool_]
    """True where an injection added or moved the payment."""

    def __len__(self) -> int:
        return len(self.time)

    @property
    def day(self) -> NDArray[np.int64]:
        """The day of each payment, counted from 0."""
        return self.time // DAY_MS

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Payments:
        """The payments at these positions, or where the mask is true."""
        return Payments(*(getattr(self, column.name)[rows] for column in fields(self)))

    def mark(self, rows: NDArray[np.bool_], scenario: int) -> Payments:
        """The same payments, those in the mask being frauds of this scenario."""
        return replace(self, scenario=np.where(rows, np.int8(scenario), self.scenario))

    def then(self, more: Payments) -> Payments:
        """These payments followed by those."""
        return Payments(*(np.concatenate([getattr(part, c.name) for part in (self, more)]) for c in fields(self)))

    def in_time_order(self) -> tuple[NDArray[np.int64], Payments]:
        """Ids and payments, both ascending by time.

        An id is the millisecond and a rank within it, and what an injection touched ranks last: so no injection ever
        changes the id of a payment that it left alone.
        """
        order = np.lexsort((self.injected, self.time))
        ordered = self.take(order)
        rank = np.arange(len(self)) - np.searchsorted(ordered.time, ordered.time, side="left")
        if len(self) and rank.max() >= _RANKS:
            raise UserError(
                "too many payments in one millisecond",
                where="World(customers, payments_per_day)",
                allowed=f"at most {_RANKS}",
                next_step="simulate several worlds with other seeds",
            )
        return ordered.time * (2 * _RANKS) + rank, ordered


def malformed_ids(ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ids that no payment has, one for each payment."""
    return ids + _RANKS
