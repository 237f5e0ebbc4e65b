"""The port of the online store, what passes through it, and its in-memory twin.

A store keeps bytes: a head for each entity of a view, chunks of rows beside the heads of those with many, the facts
that may still be corrected, and how far each partition has been folded. What the bytes mean is told in `tiles`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sluice.engine.tiles import Id
from sluice.errors import Outage, ServiceDown

Partition = tuple[str, int]
"""A topic and a partition of it."""
Version = tuple[str, Id, int, int, int]
"""Stream, id, revision, canonical hash and operation."""
Name = tuple[str, Id]
"""A view and an entity of it; or a stream and an event of it."""
ChunkName = tuple[str, Id, int]
"""A view, an entity, and where the chunk's slot begins."""
Heads = Sequence[bytes | None]
OWN = "#"
"""How the names begin under which a store keeps what is no view, entity or source."""
FENCE: Partition = (f"{OWN}forgotten", 0)
"""Whose position counts how often the store was made to forget: who writes must have seen the last time."""


class Position(NamedTuple):
    """How far a partition has been folded: the next offset, and the greatest event time before it."""

    offset: int
    watermark: int | None


@dataclass(frozen=True)
class Knowledge:
    """What a vector may know (K): the base version that was loaded, and the next offset of every partition."""

    base: int
    positions: Mapping[Partition, Position]

    def offset(self, partition: Partition) -> int | None:
        """The next offset of a partition; None if nothing of it is known."""
        held = self.positions.get(partition)
        return held.offset if held else None

    def demand(self, expected: Mapping[Partition, int | None]) -> None:
        """LostPartition unless every partition stands where it is expected; Overtaken if only the fence does not."""
        for partition, offset in expected.items():
            if partition != FENCE and self.offset(partition) != offset:
                raise LostPartition.at(partition, offset, self.offset(partition))
        if FENCE in expected and self.offset(FENCE) != expected[FENCE]:
            raise Overtaken(
                "the store was made to forget an entity meanwhile",
                where=FENCE[0],
                next_step="read the positions again, and go on from them",
            )

    def describe(self) -> dict[str, object]:
        """As it is logged: `{"base": 12, "positions": {"fraud.transactions/0": 4711}}`."""
        return {
            "base": self.base,
            "positions": {
                f"{topic}/{partition}": at.offset
                for (topic, partition), at in self.positions.items()
                if not topic.startswith(OWN)
            },
        }


def standing(positions: Mapping[Partition, Position], sources: Iterable[Partition]) -> dict[Partition, int | None]:
    """The offsets that partitions must still have when something is written: None for one of which nothing was read."""
    places = {**dict.fromkeys(sources), **positions}
    return {place: positions[place].offset if place in positions else None for place in places}


NOBODY = Knowledge(-1, {})
"""What is known of a request without a key, and by a store that holds nothing."""


class Fact(NamedTuple):
    """One version of one event, kept while it may still be corrected: its values as JSON in declared order."""

    anchor: Id
    """The id of the event that it is about: its own, or its parent's."""
    stream: str
    id: Id
    revision: int
    hash: int
    op: int
    time: int
    known: int
    watermark: int | None
    values: bytes

    @property
    def name(self) -> Name:
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
class Change:
    """What one micro-batch writes: all of it or nothing, and only if every partition stands where it is expected.

    Heads and chunks of None are removed.
    """

    facts: Sequence[Fact] = ()
    heads: Sequence[tuple[str, Id, bytes | None]] = ()
    chunks: Sequence[tuple[str, Id, int, bytes | None]] = ()
    expected: Mapping[Partition, int | None] = field(default_factory=dict)
    positions: Mapping[Partition, Position] = field(default_factory=dict)
    gone: Sequence[Fact] = ()
    """Facts that are removed; of one that there is not nothing is."""


@dataclass(frozen=True)
class Reading:
    """The heads asked for, the chunks that they called for, and what all of it knows: one atomic read.

    Where entities are read from several shards, `each` says what each head asked for knows, and `knowledge` the least
    of it.
    """

    heads: Heads
    chunks: Mapping[ChunkName, bytes]
    knowledge: Knowledge
    each: Sequence[Knowledge] = ()


Call = Callable[[Heads], Sequence[ChunkName]]
"""Which chunks some heads call for; a store may ask again when it looks again."""


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


class ChunkGone(Outage):
    """A chunk that was called for is not there: since its head was read, the store was loaded anew or went back."""

    @classmethod
    def at(cls, name: ChunkName) -> ChunkGone:
        """The message with the chunk."""
        view, key, start = name
        return cls(
            f"the chunk of {key!r} that begins at {start} is gone",
            where=view,
            next_step="read again; if it stays so, run the flow `features`",
        )


class NotThere(Outage):
    """There is no such store: nobody has started it from history yet."""

    @classmethod
    def at(cls, where: str) -> NotThere:
        """The message with the place."""
        return cls("the online store is not there yet", where=where, next_step="run the flow `features`")


class StoreDown(ServiceDown):
    """A store elsewhere does not answer, or has lost its last changes: which ones it holds, its positions say."""


class Overtaken(StoreDown):
    """The store has forgotten something since it was read: nothing was written, and who writes reads it again."""


class TileReader(Protocol):
    """What answers requests: heads and chunks of entities, be they in one store or in several."""

    def read(self, names: Sequence[tuple[str, Id | None]], call: Call | None = None) -> Reading:
        """The heads of some entities (nobody's is None), the chunks they call for, and what they know.

        ChunkGone when a chunk that is called for is not there.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class TileStore(TileReader, Protocol):
    """Keeps heads, chunks, facts and positions; a reader never sees half of a change.

    `load` replaces everything by a base. `apply` is one transaction: it raises `LostPartition` and stores nothing when
    a partition does not stand at its expected offset, so that a batch has its effect once, however often it is tried.
    A store elsewhere may raise `StoreDown` from anything; its positions say what it holds when it is back.
    """

    def load(self, base: int, tiles: Iterable[tuple[str, Id, int | None, bytes]], facts: Iterable[Fact]) -> None:
        """Replace everything by a base version; a tile without start is a head, and positions start empty."""
        ...

    def scan(self, view: str) -> Iterator[tuple[Id, bytes]]:
        """Every head of a view."""
        ...

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        ...

    def versions(self, names: Sequence[Name]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        ...

    def apply(self, change: Change, *, forget: int | None = None) -> None:
        """Write a change and drop the facts before a time, or raise LostPartition and write nothing."""
        ...

    def purge(self) -> None:
        """Leave no byte of what was removed in files that are the store's own."""
        ...


def nothing(_: Heads) -> Sequence[ChunkName]:
    """The chunks of a reader that wants none."""
    return ()


@dataclass
class MemoryStore:
    """The in-memory twin: dictionaries, for unit tests and embedded use."""

    base: int = -1
    positions: dict[Partition, Position] = field(default_factory=dict)
    _heads: dict[Name, bytes] = field(default_factory=dict)
    _chunks: dict[ChunkName, bytes] = field(default_factory=dict)
    _facts: dict[Id, dict[Version, Fact]] = field(default_factory=dict)
    _anchors: dict[Name, set[Id]] = field(default_factory=dict)

    def load(self, base: int, tiles: Iterable[tuple[str, Id, int | None, bytes]], facts: Iterable[Fact]) -> None:
        """Replace everything by a base version; a tile without start is a head, and positions start empty."""
        loaded = MemoryStore(base)
        for view, key, start, body in tiles:
            if start is None:
                loaded._heads[view, key] = body
            else:
                loaded._chunks[view, key, start] = body
        loaded._remember(facts)
        vars(self).update(vars(loaded))

    def read(self, names: Sequence[tuple[str, Id | None]], call: Call | None = None) -> Reading:
        """The heads of some entities (nobody's is None), the chunks they call for, and what they know."""
        heads = [self._heads.get((view, key)) if key is not None else None for view, key in names]
        wanted = (call or nothing)(heads)
        missing = next((name for name in wanted if name not in self._chunks), None)
        if missing is not None:
            raise ChunkGone.at(missing)
        chunks = {name: self._chunks[name] for name in wanted}
        return Reading(heads, chunks, self._known)

    def scan(self, view: str) -> Iterator[tuple[Id, bytes]]:
        """Every head of a view."""
        yield from [(key, head) for (name, key), head in self._heads.items() if name == view]

    def facts(self, anchors: Sequence[Id]) -> list[Fact]:
        """Every kept version that was anchored at the given ids."""
        return [fact for anchor in dict.fromkeys(anchors) for fact in self._facts.get(anchor, {}).values()]

    def versions(self, names: Sequence[Name]) -> list[Fact]:
        """Every kept version of the events with these streams and ids, wherever they are anchored."""
        wanted = dict.fromkeys(names)
        anchors = [anchor for name in wanted for anchor in self._anchors.get(name, ())]
        return [fact for fact in self.facts(anchors) if fact.name in wanted]

    def apply(self, change: Change, *, forget: int | None = None) -> None:
        """Write a change and drop the facts before a time, or raise LostPartition and write nothing."""
        self._known.demand(change.expected)
        for view, key, head in change.heads:
            _put(self._heads, (view, key), head)
        for view, key, start, chunk in change.chunks:
            _put(self._chunks, (view, key, start), chunk)
        self._remember(change.facts)
        self.positions.update(change.positions)
        if forget is not None or change.gone:
            gone = {(fact.anchor, fact.version) for fact in change.gone}
            self._keep(lambda fact: (forget is None or fact.time >= forget) and (fact.anchor, fact.version) not in gone)

    def purge(self) -> None:
        """Nothing is in files."""

    def close(self) -> None:
        """Nothing to let go of."""

    @property
    def _known(self) -> Knowledge:
        return Knowledge(self.base, dict(self.positions))

    def _keep(self, stays: Callable[[Fact], bool]) -> None:
        kept = [fact for facts in self._facts.values() for fact in facts.values() if stays(fact)]
        self._facts.clear()
        self._anchors.clear()
        self._remember(kept)

    def _remember(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._facts.setdefault(fact.anchor, {})[fact.version] = fact
            self._anchors.setdefault(fact.name, set()).add(fact.anchor)


def _put(held: dict[Any, bytes], name: object, value: bytes | None) -> None:
    if value is None:
        held.pop(name, None)
    else:
        held[name] = value
