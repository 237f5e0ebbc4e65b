"""The port of the online store, what passes through it, and its in-memory twin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sluice.engine.tiles import Id, Tile
from sluice.errors import Outage

Partition = tuple[str, int]
"""A topic and a partition of it."""
Version = tuple[str, Id, int, int, int]
"""Stream, id, revision, canonical hash and operation."""


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

    @property
    def name(self) -> tuple[str, Id]:
        """The event that it is a version of."""
        return self.stream, self.id

    @property
    def version(self) -> Version:
        """Which version of which event it is; copies of the same bytes have the same."""
        return self.stream, self.id, self.revision, self.hash, self.op

    @property
    def arrival(self) -> tuple[bool, int, int]:
        """What decides between copies of one version; the least is the first that came."""
        return self.watermark is not None, self.watermark or 0, self.known


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
        """Every kept version that was anchored at the given ids."""
        ...

    def versions(self, names: Sequence[tuple[str, Id]]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
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

    base: int = -1
    positions: dict[Partition, Position] = field(default_factory=dict)
    _tiles: dict[tuple[str, Id], dict[int, Tile]] = field(default_factory=dict)
    _facts: dict[Id, dict[Version, Fact]] = field(default_factory=dict)
    _anchors: dict[tuple[str, Id], set[Id]] = field(default_factory=dict)

    def load(self, base: int, tiles: Iterable[tuple[str, Id, Tile]], facts: Iterable[Fact]) -> None:
        """Replace everything by the tiles and facts of a base version; positions start empty."""
        self.base, self.positions = base, {}
        for held in (self._tiles, self._facts, self._anchors):
            held.clear()
        self._write(facts, tiles)

    def read(self, wanted: Sequence[Wanted]) -> Reading:
        """The tiles of several entities and the knowledge that they were read at."""
        found = []
        for want in wanted:
            slots = self._tiles.get((want.view, want.key), {}) if want.key is not None else {}
            found.append([slots[slot] for slot in sorted(slots) if want.first <= slot <= want.last])
        return Reading(found, Knowledge(self.base, dict(self.positions)))

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        return [fact for anchor in dict.fromkeys(anchors) for fact in self._facts.get(anchor, {}).values()]

    def versions(self, names: Sequence[tuple[str, Id]]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        wanted = dict.fromkeys(names)
        anchors = [anchor for name in wanted for anchor in self._anchors.get(name, ())]
        return [fact for fact in self.facts(anchors) if fact.name in wanted]

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
        kept = [fact for facts in self._facts.values() for fact in facts.values() if fact.time >= before]
        self._facts.clear()
        self._anchors.clear()
        self._write(kept, ())
        for (view, _), tiles in self._tiles.items():
            for slot in [slot for slot in tiles if slot < slots.get(view, slot)]:
                del tiles[slot]

    def close(self) -> None:
        """Nothing to let go of."""

    def _write(self, facts: Iterable[Fact], tiles: Iterable[tuple[str, Id, Tile]]) -> None:
        for fact in facts:
            self._facts.setdefault(fact.anchor, {})[fact.version] = fact
            self._anchors.setdefault(fact.name, set()).add(fact.anchor)
        for view, key, made in tiles:
            self._tiles.setdefault((view, key), {})[made.slot] = made
