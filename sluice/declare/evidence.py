"""What a retraining policy looks at: one frozen value per segment, gathered from rows by `sluice.monitor.evidence`."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.errors import DeclarationError

METRICS = ("auc", "average_precision", "card_precision_at_100")
"""The measures of quality that a policy can watch; more is better in each."""


@dataclass(frozen=True, kw_only=True)
class Drifted:
    """One watched column whose drift has persisted."""

    column: str
    kind: str
    """`feature` or `score`."""
    detector: str
    """Which test on which part of the column, such as `alibi.ks:values` or `twin.fet:null`."""
    distance: float
    threshold: float
    exceeded: int
    """In how many of the last `checks` checks the distance was past the threshold."""
    checks: int

    @property
    def missing_values(self) -> bool:
        """Whether more values are missing than before; fewer are drift like any other."""
        return self.detector.endswith(":null")

    def __str__(self) -> str:
        """One clause for a reason, in numbers."""
        what = f"missing values of {self.column}" if self.missing_values else self.column
        past = f"past {self.threshold:.2f} in {self.exceeded} of {self.checks} checks"
        return f"{what} moved by {self.distance:.2f} ({past})"


@dataclass(frozen=True, kw_only=True)
class Quality:
    """A model's quality with its interval: measured on mature labels, or estimated where it says so."""

    value: float
    low: float
    high: float
    """`low` and `high` bound the value's 95 % interval."""
    positives: int
    estimated: float | None = None
    """Of what is measured: what had been estimated for the same rows."""

    def __post_init__(self) -> None:
        if not self.low <= self.value <= self.high:
            raise DeclarationError(
                f"{self.value} lies outside its interval", where="Quality", allowed=f"{self.low} to {self.high}"
            )

    @property
    def gap(self) -> float | None:
        """By how much the estimate flattered the model; None without one."""
        return None if self.estimated is None else self.estimated - self.value


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All that a policy may know of one segment; times are microseconds of the event clock."""

    segment: str
    trained_at: int | None
    """When the champion was trained; None while the segment has none of its own."""
    promoted_at: int | None = None
    previous: str | None = None
    """The version that a rollback would restore; None when there is none."""
    retrains: tuple[int, ...] = ()
    """When this segment was retrained before, at least over the budget's span."""
    new_labels: int = 0
    """Labelled rows that the champion has not been trained on."""
    watched: int = 0
    """How many columns the last drift check covered."""
    drift: tuple[Drifted, ...] = ()
    metric: str = "average_precision"
    baseline: Quality | None = None
    """The champion on its own held-out rows, measured in the same way as `measured`."""
    measured: Quality | None = None
    expected: Quality | None = None
    """The estimate for the held-out rows."""
    outlook: Quality | None = None
    """The estimate for the newest rows, whose labels are not mature."""
    audited: int = 0
    mismatched: int = 0
    """Served vectors recomputed from raw events, and those among them that differ: training-serving skew."""

    def age(self, now: int) -> int:
        """Microseconds since the champion was trained; 0 without one, or for a training later than `now`."""
        return 0 if self.trained_at is None else max(0, now - self.trained_at)
