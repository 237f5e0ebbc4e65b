"""The store of a router or of a shard in the hands of its one owner.

A store that was just loaded has no positions, like one that was never used. A claim in the name of the load tells them
apart: who has made one that is no longer there was replaced by a new base, however little had happened until then, and
whoever has made the next one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sluice.declare.pipeline import Pipeline
from sluice.engine.forget import forget_expired
from sluice.engine.store import FENCE, OWN, Change, LostPartition, Partition, Position, TileStore, standing

EPOCH = ("#epoch", 0)
"""The head under which a store keeps the name of the load that started it, which all stores of a pipeline share."""
_CLAIM = f"{OWN}claim"
_HELD = Position(1, None)


class Owned:
    """A store, the load that started it, and where its owner has left every partition."""

    def __init__(self, store: TileStore, number: int) -> None:
        self.store = store
        reading = store.read([EPOCH])
        self.epoch = (reading.heads[0] or b"").decode()
        self._claim: Partition = (f"{_CLAIM}.{self.epoch}", number)
        if self._claim not in reading.knowledge.positions:
            store.apply(Change(expected={self._claim: None}, positions={self._claim: _HELD}))
            reading = store.read([EPOCH])
        self.positions = dict(reading.knowledge.positions)
        _demand({self._claim: _HELD}, self.positions)
        if (reading.heads[0] or b"").decode() != self.epoch:
            raise LostPartition.at(self._claim, _HELD.offset, None)

    @property
    def claim(self) -> Mapping[Partition, int | None]:
        """What every change of the store must find, beside the offsets that it continues."""
        return {self._claim: _HELD.offset, FENCE: self.offset(FENCE)}

    def offset(self, partition: Partition) -> int | None:
        """The next offset of a partition; None if nothing of it was read."""
        held = self.positions.get(partition)
        return held.offset if held else None

    def apply(self, change: Change) -> None:
        """Write a change, and stand where it says; LostPartition if somebody else has written to the store."""
        self.store.apply(replace(change, expected={**change.expected, **self.claim}))
        self.positions.update(change.positions)

    def check(self) -> None:
        """LostPartition if somebody else has written to the store."""
        found = self.store.read([]).knowledge.positions
        _demand(self.positions, found)
        _demand(found, self.positions)

    def forget(self, pipeline: Pipeline, watermark: int, sources: Sequence[Partition]) -> None:
        """Drop what lies so far behind a watermark that nothing can reach it; LostPartition if the sources moved."""
        forget_expired(pipeline, self.store, watermark, standing(self.positions, [*sources, FENCE]))


def _demand(expected: Mapping[Partition, Position], found: Mapping[Partition, Position]) -> None:
    """LostPartition unless partitions stand where they are expected."""
    for partition, at in expected.items():
        if partition == FENCE:
            continue  # whoever writes is told that something was forgotten
        held = found.get(partition)
        if held is None or held.offset != at.offset:
            raise LostPartition.at(partition, at.offset, held.offset if held else None)
