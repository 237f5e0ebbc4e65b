"""Old answers: rows of `predictions`, which have the keys of their entities as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa

from sluice.engine.encode import Mask
from sluice.lake.keeping.rewriting import Older

_KEYS = "keys"


@dataclass(frozen=True)
class Answers:
    """Answers whose event happened before a moment, but for those to entities that are held."""

    before: int
    held: Mapping[str, Sequence[str]]
    """By key, the values as text."""

    @property
    def columns(self) -> list[str]:
        """The event's time, and whom it was about."""
        return ["event_time", _KEYS]

    def mask(self, rows: pa.Table) -> Mask:
        """Keys that cannot be read may be those of a held entity."""
        gone = Older("event_time", self.before, {}).mask(rows.select(["event_time"]))
        if self.held:
            gone &= ~np.array([self._names(text) for text in rows.column(_KEYS).to_pylist()], bool)
        return gone

    def _names(self, text: str | None) -> bool:
        try:
            keys = orjson.loads(text or "")
        except orjson.JSONDecodeError:
            return True
        return any(str(keys.get(key)) in values for key, values in self.held.items())
