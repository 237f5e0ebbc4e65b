"""The micro-batch fold: what a batch of events changes in the tiles, written in one transaction with its positions.

A tile is a function of its rows, and the rows of an event are a function of every version of it that is known. So the
fold asks the store what it knew about the events of the batch, adds the batch, and writes the difference: duplicates,
conflicts, corrections, deletions, late labels and replays need no code of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.facts import to_facts, to_tables
from sluice.engine.history import keep, originals, rows
from sluice.engine.store import Change, Fact, Partition, Position, TileStore, Wanted
from sluice.engine.tiles import LAST, Id, Rows, Tile, matrix_of, rows_in, stored_tiles, tile, width

_Row = tuple[Id, Id, tuple[int, ...]]


@dataclass(frozen=True)
class MicroBatch:
    """Encoded events by stream, the offset each partition must stand at, and where it stands afterwards."""

    events: Mapping[str, pa.Table]
    expected: Mapping[Partition, int | None]
    positions: Mapping[Partition, Position]


@dataclass(frozen=True)
class Folded:
    """What a fold did: events read, versions that were new, tiles written."""

    events: int
    fresh: int
    tiles: int


def fold(pipeline: Pipeline, store: TileStore, batch: MicroBatch) -> Folded:
    """Fold a micro-batch into the store exactly once; LostPartition when another consumer has moved on."""
    arrived = [fact for stream in pipeline.streams for fact in _facts(pipeline, stream.name, batch)]
    before = _related(pipeline, store, arrived)
    fresh = _fresh(before, arrived)
    old, new = to_tables(pipeline, before), to_tables(pipeline, [*before, *fresh])
    kept = keep(pipeline)
    touched = [
        changed
        for view in pipeline.windows
        for changed in _changed(view, store, *(rows(view, t, kept=kept) for t in (old, new)))
    ]
    store.apply(Change(fresh, touched, batch.expected, batch.positions))
    return Folded(len(arrived), len(fresh), len(touched))


def load_base(
    pipeline: Pipeline, store: TileStore, base: int, tiles: Mapping[str, pa.Table], events: Mapping[str, pa.Table]
) -> None:
    """Start the store from a base: tile tables by view (`tiles.build`) and the encoded events still correctable."""
    facts = (fact for stream in pipeline.streams for fact in to_facts(stream, originals(events[stream.name])))
    store.load(base, ((view, key, made) for view, table in tiles.items() for key, made in stored_tiles(table)), facts)


def forget_expired(pipeline: Pipeline, store: TileStore, watermark: int) -> None:
    """Drop what no future event or request can reach, given the least watermark of all partitions."""
    slots = {view.name: (watermark - 2 * view.horizon) // view.slot for view in pipeline.windows}
    store.forget(watermark - 2 * keep(pipeline), slots)


def _facts(pipeline: Pipeline, stream: str, batch: MicroBatch) -> Sequence[Fact]:
    events = batch.events.get(stream)
    return to_facts(pipeline.stream(stream), events) if events is not None and len(events) else []


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


def _fresh(before: Sequence[Fact], arrived: Sequence[Fact]) -> list[Fact]:
    """The arrived versions that were not known, or only by a copy that had come later."""
    first = {fact.version: fact for fact in before}
    fresh = {}
    for fact in arrived:
        held = first.get(fact.version)
        if held is None or fact.arrival < held.arrival:
            first[fact.version] = fresh[fact.version] = fact
    return list(fresh.values())


def _changed(view: Windows, store: TileStore, old: pa.Table, new: pa.Table) -> list[tuple[str, Id, Tile]]:
    """The tiles of a view as they are after some of its rows have changed."""
    before, after = _counted(view, old), _counted(view, new)
    gone, came = _by_place(view, before - after), _by_place(view, after - before)
    places = list(dict.fromkeys([*gone, *came]))
    reading = store.read([Wanted(view.name, key, slot, slot) for key, slot in places])
    result = []
    for (key, slot), found in zip(places, reading.tiles, strict=True):
        held = Counter(_listed(view, key, found[0])) if found else Counter()
        held.subtract(gone.get((key, slot), ()))
        held.update(came.get((key, slot), ()))
        result.append((view.name, key, tile(slot, _rows(view, +held))))
    return result


def _counted(view: Windows, table: pa.Table) -> Counter[_Row]:
    matrix = matrix_of(view, table)
    keys, ids = table.column("key").to_pylist(), table.column("id").to_pylist()
    return Counter((k, i, tuple(m)) for k, i, m in zip(keys, ids, matrix.tolist(), strict=True) if k is not None)


def _by_place(view: Windows, counted: Counter[_Row]) -> dict[tuple[Id, int], list[_Row]]:
    """Rows by entity and slot."""
    found: dict[tuple[Id, int], list[_Row]] = {}
    for row in counted.elements():
        found.setdefault((row[0], row[2][LAST] // view.slot), []).append(row)
    return found


def _listed(view: Windows, key: Id, held: Tile) -> list[_Row]:
    stored = rows_in(view, held)
    return [(key, i, tuple(m)) for i, m in zip(stored.ids, stored.matrix.tolist(), strict=True)]


def _rows(view: Windows, counted: Counter[_Row]) -> Rows:
    listed = list(counted.elements())
    matrix = np.array([row[2] for row in listed], np.int64).reshape(len(listed), width(view))
    return Rows(matrix, [row[1] for row in listed])
