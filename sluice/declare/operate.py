"""How a pipeline is run: the gates that stop it, how it trains, and how a challenger takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, Self, get_args

from sluice.declare.arguments import check_fields
from sluice.declare.checks import one_of
from sluice.declare.durations import Duration, duration
from sluice.errors import DeclarationError

KnowledgeTime = Literal["event_time", "as_served"]
EVENT_TIME: Final = "event_time"
AS_SERVED: Final = "as_served"


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How far the values of a column may move from those of the days before; keys have none that are compared.

    By the population stability index (PSI): below 0.1 hardly anything has changed, above 0.25 much has. A column that
    passes a threshold must also differ by more than `floor`, and by more than chance explains.
    """

    warn: float = 0.25
    """The PSI from which it is told."""
    stop: float | None = 1.0
    """The PSI from which it stops the batch; None: it never does."""
    floor: float = 0.1
    """The least difference of the distributions (Kolmogorov-Smirnov, or total variation), a probability."""
    over: Duration = "28d"
    """How many days before the batch it is compared with."""

    def __post_init__(self) -> None:
        check_fields(self, where="Shift")
        _share(self.floor, "Shift.floor")
        object.__setattr__(self, "over", duration(self.over, where="Shift.over"))
        if not 0 < self.warn <= (self.warn if self.stop is None else self.stop):
            raise DeclarationError(
                f"warn={self.warn}, stop={self.stop}", where="Shift", allowed="0 < warn, and stop from warn on, or None"
            )


@dataclass(frozen=True, kw_only=True)
class Gates:
    """What a batch of files must satisfy before any of its rows is history; a breach stops the whole batch."""

    min_rows: int = 1
    max_quarantined: float = 0.05
    """The greatest share of rows that row rules may refuse."""
    max_orphans: float = 0.02
    """The greatest share of foreign keys without a parent."""
    grace: Duration = "0s"
    """How long after its event a foreign key waits for its parent; one that has none by then is without a parent."""
    max_count_change: float | None = 5.0
    """By what factor a batch may have more or fewer rows than is usual on its weekday; None: by any."""
    max_late: float = 0.2
    """The greatest share of rows that may be known more than the stream's `late_after` after they happened."""
    max_gone: float = 0.1
    """The greatest share of a restated day's events that its new files may lack."""
    max_missing_rise: float = 0.1
    """By how much the share of rows without a value of a nullable column may exceed that of the batches before."""
    shift: Shift | None = field(default_factory=Shift)
    """How far the values of a column may move; None: as far as they like."""
    fresh: bool = True
    """Whether the newest event must be younger than the stream's declared freshness at the batch's `at`."""

    def __post_init__(self) -> None:
        check_fields(self, where="Gates")
        _share(self.max_quarantined, "Gates.max_quarantined")
        _share(self.max_orphans, "Gates.max_orphans")
        _share(self.max_missing_rise, "Gates.max_missing_rise")
        _share(self.max_late, "Gates.max_late")
        _share(self.max_gone, "Gates.max_gone")
        object.__setattr__(self, "grace", duration(self.grace, where="Gates.grace"))
        if self.max_count_change is not None and self.max_count_change <= 1:
            raise DeclarationError(
                f"{self.max_count_change} is no factor", where="Gates.max_count_change", allowed="more than 1, or None"
            )
        _least(self.min_rows, 0, "Gates.min_rows")

    @classmethod
    def off(cls) -> Self:
        """Gates that stop nothing but a gap in a topic; what they find is recorded all the same."""
        return cls(
            min_rows=0,
            max_count_change=None,
            max_quarantined=1,
            max_orphans=1,
            max_missing_rise=1,
            max_late=1,
            max_gone=1,
            shift=None,
            fresh=False,
        )


@dataclass(frozen=True, kw_only=True)
class Training:
    """Which days train, validate and test a model, what its vectors know, and how big the network is."""

    history: Duration = "120d"
    """How far back training reaches, in all."""
    validation: Duration = "14d"
    test: Duration = "14d"
    hidden: Sequence[int] = (64, 32)
    epochs: int = 10
    batch: int = 4096
    seed: int = 7
    exclude: Sequence[str] = ()
    """Features (`<view>__<feature>`) that no model reads."""
    knowledge: KnowledgeTime = EVENT_TIME
    """What a vector knows of the time before it: `event_time`, everything that is known today; `as_served`, only what
    had arrived by then, as a service would have known it."""

    def __post_init__(self) -> None:
        check_fields(self, where="Training")
        one_of(self.knowledge, get_args(KnowledgeTime), where="Training.knowledge", kind="knowledge")
        for name in ("history", "validation", "test"):
            object.__setattr__(self, name, duration(getattr(self, name), where=f"Training.{name}"))
        if int(self.history) <= int(self.validation) + int(self.test):
            raise DeclarationError(
                "nothing is left to train on", where="Training.history", allowed="more than validation + test"
            )
        for name in ("epochs", "batch"):
            _least(getattr(self, name), 1, f"Training.{name}")


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """How a challenger takes over: shadow, then growing shares of the traffic, each baked before the next."""

    shadow: Duration = "1d"
    canary: Sequence[float] = (0.1, 0.5)
    bake: Duration = "1d"
    """Event time that every step must stand before the next."""
    min_requests: int = 200
    """Scored requests that every step must have seen before the next."""
    max_error_rate: float = 0.001
    max_score_shift: float = 0.25
    """The greatest Kolmogorov-Smirnov distance between both models' scores of the same requests."""
    min_gain: float = -0.01
    """The least gain in average precision over the champion, on the same mature labels."""

    def __post_init__(self) -> None:
        check_fields(self, where="Rollout")
        for name in ("shadow", "bake"):
            object.__setattr__(self, name, duration(getattr(self, name), where=f"Rollout.{name}"))
        steps = list(self.canary)
        if not steps or steps != sorted(steps) or not all(0 < step < 1 for step in steps):
            raise DeclarationError(
                f"canary steps {steps}", where="Rollout.canary", allowed="growing shares between 0 and 1"
            )
        _least(self.min_requests, 1, "Rollout.min_requests")
        _share(self.max_error_rate, "Rollout.max_error_rate")
        _share(self.max_score_shift, "Rollout.max_score_shift")


def _share(value: float, where: str) -> None:
    if not 0 <= value <= 1:
        raise DeclarationError(f"{value} is no share", where=where, allowed="0 to 1")


def _least(value: int, least: int, where: str) -> None:
    if value < least:
        raise DeclarationError(f"{value} is too small", where=where, allowed=f"{least} or more")
