"""The plan of the live days: what they are cut into, and what happens at the end of each piece."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

_WATCHES = (1 / 6, 1 / 3, 1 / 2, 7 / 12, 2 / 3)
"""Shares of the live days after which what has happened is watched; thicker where something is expected."""
_TRIALS = (43 / 60, 46 / 60, 49 / 60, 52 / 60)
"""Shares after which rollouts move: into canary, further, to the top; then the control's turn."""
_CONTROL = 49 / 60


@dataclass(frozen=True)
class Span:
    """Live days `first` to `until`, and what follows: a watch or a step of the rollouts, and perhaps the control."""

    first: int
    until: int
    watched: bool
    control: bool = False
    """From its end on, models that have learnt nothing are sent into the rollout, to be caught."""

    @property
    def name(self) -> str:
        """What the story calls it."""
        return f"Live days {self.first} to {self.until}"


def spans(live_days: int) -> list[Span]:
    """The live days, each once: watches first, then the rollouts, then a watch over the rest."""
    watched = {_day(share, live_days) for share in _WATCHES} | {live_days}
    trials = {_day(share, live_days) for share in _TRIALS}
    edges = sorted({0} | watched | trials)
    control = _day(_CONTROL, live_days)
    return [Span(first, until, until in watched, until == control) for first, until in pairwise(edges)]


def _day(share: float, live_days: int) -> int:
    return max(1, round(share * live_days))
