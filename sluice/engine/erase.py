"""An online store without an entity: its own values, and its events in those of others, however they came there.

Who writes to the store meanwhile is told to look again (`FENCE`): a batch that was computed beside what is gone cannot
bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.changes import apart, table_rows, together, without
from sluice.engine.encode import Ints
from sluice.engine.facts import encoded_schema, to_facts, to_tables
from sluice.engine.history import keep, rows
from sluice.engine.layout import ID, TIME
from sluice.engine.shares import Share
from sluice.engine.store import (
    FENCE,
    Change,
    ChunkName,
    Fact,
    Heads,
    LostPartition,
    Name,
    Position,
    TileStore,
    standing,
)
from sluice.engine.tiles import Id, Laid, Rows, in_order, lay_out, read_chunk, read_head
from sluice.errors import Outage

_TRIES = 20
Which = Callable[[Mapping[str, pa.Table]], Mapping[str, pa.Table]]
"""What is left of some encoded versions, by stream."""


@dataclass(frozen=True)
class Erased:
    """Who is forgotten up to which moment, the versions that history had of it, and what is left of any versions."""

    key: str
    value: Id
    until: int
    events: Mapping[str, pa.Table]
    whole: Mapping[str, pa.Table]
    """Of these versions, those of events that are gone as a whole."""
    left: Which


def erase(pipeline: Pipeline, store: TileStore, what: Erased, share: Share | None = None) -> None:
    """Take an entity and its events out of a store, in one transaction; again, there is nothing to take.

    With a share only entities of that shard have tiles here. Outage when others were always faster.
    """
    for _ in range(_TRIES):
        # those who write read the store again, which takes them a moment
        _raise(store)
        try:
            store.apply(_change(pipeline, store, what, share))
        except LostPartition:
            continue
        store.purge()
        return
    raise Outage(
        f"others wrote to the online store {_TRIES} times meanwhile", where=pipeline.name, next_step="run it again"
    )


def _raise(store: TileStore) -> None:
    known = store.read([]).knowledge
    store.apply(Change(positions={FENCE: Position((known.offset(FENCE) or 0) + 1, None)}))


def _change(pipeline: Pipeline, store: TileStore, what: Erased, share: Share | None) -> Change:
    known = store.read([]).knowledge
    facts = _facts(pipeline, store, what)
    before = to_tables(pipeline, facts)
    after = what.left(before)
    staying = {fact.version for stream in pipeline.streams for fact in to_facts(stream, after[stream.name])}
    heads: list[tuple[str, Id, bytes | None]] = []
    chunks: list[tuple[str, Id, int, bytes | None]] = []
    for view in pipeline.windows:
        for key, laid in _entities(pipeline, view, store, what, (before, after), share):
            heads.append((view.name, key, laid.head))
            chunks += [(view.name, key, start, body) for start, body in laid.chunks.items()]
    gone = [fact for fact in facts if fact.version not in staying]
    return Change((), heads, chunks, standing(known.positions, [FENCE]), {}, gone)


def _facts(pipeline: Pipeline, store: TileStore, what: Erased) -> list[Fact]:
    """Every kept version of events of the entity, of those that history had of it, and of what tells about them."""
    names = _names(pipeline, store, what)
    own = store.versions(names)
    about = store.facts(list({identity for _, identity in names} | {fact.anchor for fact in own}))
    telling = {stream.name for stream in pipeline.streams if stream.parent}
    speakers = store.versions([fact.name for fact in about if fact.stream in telling])
    return list({fact.version: fact for fact in [*own, *about, *speakers]}.values())


def _names(pipeline: Pipeline, store: TileStore, what: Erased) -> list[Name]:
    found: dict[Name, None] = {}
    for stream, events in what.events.items():
        found |= dict.fromkeys((stream, one) for one in events.column("_id").to_pylist())
    for view in pipeline.windows:
        if view.of == what.key:
            stream = (view.stream if view.label is None else view.label.of).name
            held = _read(view, store, what.value).rows
            ids: Sequence[Id] = held.matrix[:, ID].tolist() if held.ids is None else held.ids
            found |= dict.fromkeys((stream, one) for one in ids)
    return list(found)


def _entities(
    pipeline: Pipeline,
    view: Windows,
    store: TileStore,
    what: Erased,
    facts: tuple[Mapping[str, pa.Table], Mapping[str, pa.Table]],
    share: Share | None,
) -> Iterator[tuple[Id, Laid]]:
    """The entities of a view that are otherwise afterwards."""
    kept = keep(pipeline)
    lost, came = apart(view, *(rows(view, side, kept=kept) for side in facts))
    # rows outlive the facts that they were made of
    older = rows(view, {**_nothing(pipeline), **what.whole}, kept=kept)
    lost, came, older = (_present(table, share) for table in (lost, came, older))
    keys = {*lost.column("key").to_pylist(), *came.column("key").to_pylist(), *older.column("key").to_pylist()}
    own = {what.value} if view.of == what.key else set()
    for key in sorted(keys | own, key=str):
        held = _read(view, store, key)
        if held.head is None and key not in came.column("key").to_pylist():
            continue
        gone, more = together([_of(view, lost, key), _of(view, older, key)]), _of(view, came, key)
        left = in_order(together([without(held.rows, gone), more]))
        base = held.base
        if key in own:
            left, base = _after(left, what.until), base[:0]
        laid = lay_out(view, left, base)
        yield key, Laid(laid.head, {**dict.fromkeys(held.starts), **laid.chunks})


@dataclass(frozen=True)
class _Held:
    """All that a store has of an entity."""

    head: bytes | None
    rows: Rows
    base: Ints
    starts: Sequence[int]


def _read(view: Windows, store: TileStore, key: Id) -> _Held:
    def every(heads: Heads) -> list[ChunkName]:
        index = read_head(view, heads[0]).leaves
        return [] if index is None else [(view.name, key, start) for start in index.starts.tolist()]

    reading = store.read([(view.name, key)], every)
    head = read_head(view, reading.heads[0])
    none = read_head(view, None).rows
    parts = [part for part in (none, head.rows) if part is not None]
    parts += [read_chunk(view, body) for body in reading.chunks.values()]
    return _Held(reading.heads[0], in_order(together(parts)), head.base, [start for _, _, start in reading.chunks])


def _nothing(pipeline: Pipeline) -> dict[str, pa.Table]:
    return {stream.name: encoded_schema(stream).empty_table() for stream in pipeline.streams}


def _present(table: pa.Table, share: Share | None) -> pa.Table:
    """Rows of somebody, and of this shard."""
    known = table.filter(table.column("key").is_valid())
    return known if share is None else share.rows(known)


def _of(view: Windows, table: pa.Table, key: Id) -> Rows:
    return table_rows(view, table.filter(pc.equal(table.column("key"), key)))


def _after(held: Rows, until: int) -> Rows:
    mine = np.flatnonzero(held.matrix[:, TIME] > until)
    return Rows(held.matrix[mine], None if held.ids is None else [held.ids[place] for place in mine.tolist()])
