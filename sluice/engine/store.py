"""The port of the online store, what passes through it, and its in-memory twin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluice.engine.tiles import Id, Tile
from sluice.errors import Outage

Partition = tuple[str, int]
"""A topic and a partition of it."""


@dataclass(frozen=True)
class Position:
    """How far a partition has been folded: the next offset, and the greatest event time before it."""

    offset: int
    watermark: int | None


@dataclass(frozen=True)
class Knowledge:
    """What a vector may know (K): the base version that was loaded, and the next offset of every partition."""

    base: int
    positions: Mapping[Partition, Position]

    def describe(self) -> dict[str, object]:
        """As it is logged: `{"base": 12, "positions": {"fraud.transactions/0": 4711}}`."""
        return {
            "base": self.base,
            "positions": {f"{topic}/{partition}": at.offset for (topic, partition), at in self.positions.items()},
        }


@dataclass(frozen=True)
class Fact:
    """One version of one event, kept while it may still be corrected: its values as JSON in declared order."""

    stream: str
    id: Id
    revision: int
    hash: int
    anchor: Id
    """The id of the event that it is about: its own, or its parent's."""
    op: int
    time: int
    known: int
    watermark: int | None
    values: bytes


@dataclass(frozen=True)
class Wanted:
    """A range of slots of one entity, both ends included; a key of None is the empty state."""

    view: str
    key: Id | None
    first: int
    last: int


@dataclass(frozen=True)
class Change:
    """What one micro-batch writes: all of it or nothing, and only if every partition stands where it is expected."""

    facts: Sequence[Fact]
    tiles: Sequence[tuple[str, Id, Tile]]
    expected: Mapping[Partition, int | None]
    positions: Mapping[Partition, Position]


@dataclass(frozen=True)
class Reading:
    """The tiles wanted, in the order asked, and what they know; one atomic read."""

    tiles: list[list[Tile]]
    knowledge: Knowledge


class LostPartition(Outage):
    """Another consumer has moved a partition on: this one's batch was rolled back, and nothing of it is stored."""

    @classmethod
    def at(cls, partition: Partition, expected: int | None, found: int | None) -> LostPartition:
        """The message with both offsets."""
        return cls(
            f"offset {found} where {expected} was expected",
            where=f"{partition[0]}/{partition[1]}",
            next_step="stop this consumer; the one that moved it goes on",
        )


class TileStore(Protocol):
    """Keeps tiles, facts and positions; a reader never sees half of a change.

    `load` replaces everything by a base. `apply` is one transaction: it raises `LostPartition` and stores nothing when
    a partition does not stand at its expected offset, so that a batch has its effect once, however often it is tried.
    """

    def load(self, base: int, tiles: Iterable[tuple[str, Id, Tile]], facts: Iterable[Fact]) -> None:
        """Replace everything by the tiles and facts of a base version; positions start empty."""
        ...

    def read(self, wanted: Sequence[Wanted]) -> Reading:
        """The tiles of several entities and the knowledge that they were read at."""
        ...

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version of the events about the given ones."""
        ...

    def apply(self, change: Change) -> None:
        """Write a change, or raise LostPartition and write nothing."""
        ...

    def forget(self, before: int, slots: Mapping[str, int]) -> None:
        """Drop facts with a time before `before` and each view's tiles before its given slot."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


@dataclass
class MemoryStore:
    """The in-memory twin: a dictionary, for unit tests and embedded use."""

    base: int = 0
    positions: dict[Partition, Position] = field(default_factory=dict)
    _tiles: dict[tuple[str, Id], dict[int, Tile]] = field(default_factory=dict)
    _facts: dict[Id, dict[tuple[str, Id, int, int], Fact]] = field(default_factory=dict)

    def load(self, base: int, tiles: Iterable[tuple[str, Id, Tile]], facts: Iterable[Fact]) -> None:
        """Replace everything by the tiles and facts of a base version; positions start empty."""
        self.base, self.positions = base, {}
        self._tiles.clear()
        self._facts.clear()
        self._write(facts, tiles)

    def read(self, wanted: Sequence[Wanted]) -> Reading:
        """The tiles of several entities and the knowledge that they were read at."""
        found = []
        for want in wanted:
            slots = self._tiles.get((want.view, want.key), {}) if want.key is not None else {}
            found.append([slots[slot] for slot in sorted(slots) if want.first <= slot <= want.last])
        return Reading(found, Knowledge(self.base, dict(self.positions)))

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version of the events about the given ones."""
        return [fact for anchor in dict.fromkeys(anchors) for fact in self._facts.get(anchor, {}).values()]

    def apply(self, change: Change) -> None:
        """Write a change, or raise LostPartition and write nothing."""
        for partition, expected in change.expected.items():
            held = self.positions.get(partition)
            found = held.offset if held else None
            if found != expected:
                raise LostPartition.at(partition, expected, found)
        self._write(change.facts, change.tiles)
        self.positions.update(change.positions)

    def forget(self, before: int, slots: Mapping[str, int]) -> None:
        """Drop facts with a time before `before` and each view's tiles before its given slot."""
        for anchor, facts in list(self._facts.items()):
            kept = {name: fact for name, fact in facts.items() if fact.time >= before}
            self._facts[anchor] = kept
            if not kept:
                del self._facts[anchor]
        for (view, _), tiles in self._tiles.items():
            for slot in [slot for slot in tiles if slot < slots.get(view, slot)]:
                del tiles[slot]

    def close(self) -> None:
        """Nothing to let go of."""

    def _write(self, facts: Iterable[Fact], tiles: Iterable[tuple[str, Id, Tile]]) -> None:
        for fact in facts:
            name = (fact.stream, fact.id, fact.revision, fact.hash)
            self._facts.setdefault(fact.anchor, {})[name] = fact
        for view, key, made in tiles:
            self._tiles.setdefault((view, key), {})[made.slot] = made
