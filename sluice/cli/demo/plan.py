"""The plan of the live days: what they are cut into, and what is done beside the traffic of each piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise


class Beside(StrEnum):
    """What is done while callers wait for their answers, in the words of the story."""

    WATCH = "a watch over the days before"
    RETRAINING = "the retraining that a decision's event started"
    ROLLOUT = "a step of every rollout"
    CONTROL = "the controls, which have learnt nothing, let into the rollout"


Story = Sequence[tuple[float, Beside]]
"""At which share of the live days something begins; what begins at once is done in the order given."""

WHOLE: Story = (
    (12 / 60, Beside.WATCH),
    (24 / 60, Beside.WATCH),
    (34 / 60, Beside.WATCH),
    (44 / 60, Beside.WATCH),
    (47 / 60, Beside.RETRAINING),
    (51 / 60, Beside.ROLLOUT),
    (53 / 60, Beside.ROLLOUT),
    (55 / 60, Beside.ROLLOUT),
    (56 / 60, Beside.CONTROL),
    (58 / 60, Beside.ROLLOUT),
)
"""Watches thicker where something is expected, then the rollouts; the control's turn comes when the others are through.

The last watch is when the traffic has ended.
"""
SHORT: Story = (
    (0.5, Beside.WATCH),
    (0.6, Beside.RETRAINING),
    (0.75, Beside.ROLLOUT),
    (0.85, Beside.ROLLOUT),
    (0.95, Beside.ROLLOUT),
)
"""For events of which nobody knows beforehand what they hold."""


@dataclass(frozen=True)
class Span:
    """Live days `first` to before `until`, and what is done beside their traffic."""

    first: int
    until: int
    beside: tuple[Beside, ...] = ()

    @property
    def name(self) -> str:
        """What the story calls it."""
        return f"Live days {self.first} to {self.until}"


def spans(live_days: int, story: Story) -> list[Span]:
    """The live days, each once, cut where something begins."""
    begins = [(max(1, min(round(share * live_days), live_days - 1)), beside) for share, beside in story]
    edges = sorted({0, live_days, *(day for day, _ in begins)})
    return [
        Span(first, until, tuple(beside for day, beside in begins if day == first)) for first, until in pairwise(edges)
    ]
