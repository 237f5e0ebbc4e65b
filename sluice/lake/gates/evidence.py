"""What is known of a batch before anyone may see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sluice.lake.baselines.shifts import Shift
from sluice.lake.restating import Restated
from sluice.lake.seam import Met


@dataclass(frozen=True)
class BatchEvidence:
    """Counts of a whole batch, for the rules to judge."""

    rows: int
    quarantined: Mapping[str, int]
    """Refused rows by rule."""
    newest: int | None
    """The greatest event time of the accepted rows, microseconds."""
    foreign_keys: int
    """Those whose time to find a parent is over."""
    orphans: int
    """Those of them without a parent in history or in the same delivery."""
    waiting_keys: int = 0
    """Those without one that have time yet."""
    examples: Sequence[str] = ()
    """What was refused most, in words."""
    puts: int = 0
    """Rows that put an event, as far as they can be read."""
    undeclared: Mapping[str, int] = field(default_factory=dict)
    """Columns of theirs that nobody declared, and how many rows have each."""
    absent: Sequence[str] = ()
    """Declared columns that none of them has, by their names in the delivery."""
    entered: int = 0
    """Accepted rows that put an event."""
    nulls: Mapping[str, int] = field(default_factory=dict)
    """How many of them have no value of each nullable column."""
    late: int = 0
    """Accepted rows that were known later than their stream allows."""
    gaps: Sequence[str] = ()
    """Positions of topics that the batch should have and does not, in words."""
    restated: Restated | None = None
    """What it says anew of some days; None for a batch that adds to history."""
    shifts: Sequence[Shift] = ()
    """How far each column has moved from the days before, where that can be said."""
    seam: Met | None = None
    """How the files of a hybrid stream and its topic meet; None where that is not asked, or known already."""
