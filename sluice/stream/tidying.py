"""When a store is looked through for what no request and no event can reach any more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sluice.declare.pipeline import Pipeline
from sluice.engine.history import keep
from sluice.engine.store import Position

_EVERY = 500
"""At least so many batches lie between two clean-ups."""
_SHARE = 32
"""And one in so many parts of the longest horizon: a clean-up looks through everything that the store has."""


@dataclass
class Tidying:
    """Counts the batches of one store, and the event time that went by in them."""

    pipeline: Pipeline
    _batches: int = 0
    _before: int | None = None
    """The least watermark at the last clean-up."""

    def due(self, positions: Iterable[Position]) -> int | None:
        """To be asked after each batch: the least watermark if it is time for a clean-up, else None."""
        self._batches += 1
        if self._batches % _EVERY:
            return None
        least = min((at.watermark for at in positions if at.watermark is not None), default=None)
        step = keep(self.pipeline) // _SHARE
        if least is None or (self._before is not None and least < self._before + step):
            return None
        self._before = least
        return least
