"""The micro-batch fold: what a batch of events changes in the tiles, written in one transaction with its positions.

A tile is a function of its rows, and the rows of an event are a function of every version of it that is known. So the
fold asks the store what it knew about the events of the batch, adds the batch, and writes the difference: duplicates,
conflicts, corrections, deletions, late labels and replays need no code of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.declare.views import Windows
from sluice.engine.build import stored_tiles
from sluice.engine.changes import Difference, difference
from sluice.engine.entities import changed
from sluice.engine.facts import encoded_schema, to_facts, to_tables
from sluice.engine.history import keep, rows
from sluice.engine.shares import Share
from sluice.engine.store import Change, Fact, Partition, Position, TileStore
from sluice.engine.tiles import Id, Laid, Rows, read_chunk
from sluice.engine.versions import are_distinct, id_codes, originals


@dataclass(frozen=True)
class MicroBatch:
    """Encoded events by stream, the offset each partition must stand at, and where it stands afterwards."""

    events: Mapping[str, pa.Table]
    expected: Mapping[Partition, int | None]
    positions: Mapping[Partition, Position]
    refused: Mapping[str, int] = field(default_factory=dict)
    """How many events beside these the contract refused, by rule."""


@dataclass(frozen=True)
class Folded:
    """What a fold did: events read, versions that were new, entities of views written."""

    events: int
    fresh: int
    entities: int


def fold(pipeline: Pipeline, store: TileStore, batch: MicroBatch, share: Share | None = None) -> Folded:
    """Fold a micro-batch into the store exactly once; LostPartition when another consumer has moved on.

    With a share only its entities are written, from whatever is known here of the others.
    """
    arrived = {stream.name: _arrived(stream, batch) for stream in pipeline.streams}
    facts = [fact for stream in pipeline.streams for fact in to_facts(stream, arrived[stream.name])]
    before = _related(pipeline, store, facts)
    fresh = fresh_of(before, facts) if before or not _once_each(arrived) else facts
    old = to_tables(pipeline, before)
    new = _joined(pipeline, old, arrived, facts, fresh)
    kept = keep(pipeline)
    heads: list[tuple[str, Id, bytes | None]] = []
    chunks: list[tuple[str, Id, int, bytes | None]] = []
    for view in pipeline.windows:
        moved = difference(view, *(_rows(view, tables, kept, share) for tables in (old, new)))
        for key, laid in _changed(view, store, moved):
            heads.append((view.name, key, laid.head))
            chunks += [(view.name, key, start, body) for start, body in laid.chunks.items()]
    store.apply(Change(fresh, heads, chunks, batch.expected, batch.positions))
    return Folded(len(facts), len(fresh), len(heads))


def load_base(
    pipeline: Pipeline, store: TileStore, base: int, tiles: Mapping[str, pa.Table], events: Mapping[str, pa.Table]
) -> None:
    """Start the store from a base: tile tables by view (`build.build`) and the encoded events still correctable."""
    facts = (fact for stream in pipeline.streams for fact in to_facts(stream, originals(events[stream.name])))
    store.load(base, (tile for view, table in tiles.items() for tile in stored_tiles(view, table)), facts)


def _rows(view: Windows, events: Mapping[str, pa.Table], kept: int, share: Share | None) -> pa.Table:
    found = rows(view, events, kept=kept)
    return found if share is None else share.rows(found)


def _arrived(stream: Stream, batch: MicroBatch) -> pa.Table:
    schema = encoded_schema(stream)
    events = batch.events.get(stream.name)
    return schema.empty_table() if events is None else events.select(schema.names).cast(schema)


def _related(pipeline: Pipeline, store: TileStore, arrived: Sequence[Fact]) -> list[Fact]:
    """Every kept fact that can decide what the arrived ones change.

    What speaks of an event may be corrected to speak of another: so beside the facts about the same events, all
    versions of every speaker among them.
    """
    telling = {stream.name for stream in pipeline.streams if stream.parent}
    own = store.versions([fact.name for fact in arrived if fact.stream in telling])
    about = store.facts([fact.anchor for fact in [*arrived, *own]])
    speakers = store.versions([fact.name for fact in about if fact.stream in telling])
    return list({fact.version: fact for fact in [*own, *about, *speakers]}.values())


def _once_each(arrived: Mapping[str, pa.Table]) -> bool:
    """Whether no event arrived twice; the plainest case, and by far the most frequent one."""
    return all(are_distinct(id_codes(table.column("_id"))) for table in arrived.values())


def fresh_of(before: Sequence[Fact], arrived: Sequence[Fact]) -> list[Fact]:
    """The arrived versions that were not known, or only by a copy that had come later."""
    first = {fact.version: fact for fact in before}
    fresh = {}
    for fact in arrived:
        held = first.get(fact.version)
        if held is None or fact.arrival < held.arrival:
            first[fact.version] = fresh[fact.version] = fact
    return list(fresh.values())


def _joined(
    pipeline: Pipeline,
    old: Mapping[str, pa.Table],
    arrived: Mapping[str, pa.Table],
    facts: Sequence[Fact],
    fresh: Sequence[Fact],
) -> Mapping[str, pa.Table]:
    """What was known and what is fresh, by stream; where everything that arrived is fresh it is taken as it came."""
    if len(fresh) == len(facts):
        return {name: pa.concat_tables([old[name], table]) for name, table in arrived.items()}
    added = to_tables(pipeline, fresh)
    return {name: pa.concat_tables([old[name], added[name]]) for name in arrived}


def _changed(view: Windows, store: TileStore, moved: Difference) -> Iterator[tuple[Id, Laid]]:
    if not moved.keys:
        return iter(())
    names = [(view.name, key) for key in moved.keys]

    def fetch(key: Id, starts: Sequence[int]) -> Mapping[int, Rows]:
        wanted = [(view.name, key, start) for start in starts]
        read = store.read([(view.name, key)], lambda _: wanted)
        return {start: read_chunk(view, read.chunks[view.name, key, start]) for start in starts}

    return changed(view, moved, store.read(names).heads, fetch)
