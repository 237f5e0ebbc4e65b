"""Online stores without an entity: the whole one, or every router's and every shard's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.erase import Erased, erase
from sluice.engine.shards import Spread, spread_of
from sluice.engine.shares import Share
from sluice.engine.store import FENCE, Change, LostPartition, TileStore, standing
from sluice.lake.forgetting.forget import Online
from sluice.lake.forgetting.forgotten import Forgotten
from sluice.lake.forgetting.found import parted
from sluice.stream.parcels import Parcel, read_parcel
from sluice.stream.router import OUTBOX

Opened = Callable[[str], TileStore]
"""Opens the store of a name to write to it."""


def forget_online(pipeline: Pipeline, opened: Opened, online: Online) -> None:
    """Take an entity out of the online store, however it is divided. Outage when a store cannot be written to."""
    entity, what = online.entity, online.what
    whole = {name: whole_of(what, name, rows) for name, rows in online.events.items()}
    told = Erased(entity.key, entity.value, entity.until, online.events, whole, partial(left_of, pipeline, what))
    own = opened(pipeline.name)
    try:
        spread = spread_of(own)
        erase(pipeline, own, told)
    finally:
        own.close()
    if not spread.whole:
        _forget_spread(pipeline, opened, spread, told, what)


def _forget_spread(pipeline: Pipeline, opened: Opened, spread: Spread, told: Erased, what: Forgotten) -> None:
    for number in range(spread.partitions):
        store = opened(spread.router(pipeline.name, number))
        try:
            erase(pipeline, store, told)
            _empty_outbox(pipeline, store, spread, what)
        finally:
            store.close()
    for number in range(spread.shards):
        store = opened(spread.shard(pipeline.name, number))
        try:
            erase(pipeline, store, told, Share(number, spread.shards))
        finally:
            store.close()


def left_of(pipeline: Pipeline, what: Forgotten, versions: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The versions of events that stay."""
    gone, _ = parted(pipeline, what, versions)
    return {name: rows.filter(pa.array(~gone[name])) for name, rows in versions.items()}


def whole_of(what: Forgotten, stream: str, versions: pa.Table) -> pa.Table:
    """The versions of events of a stream that are forgotten as a whole."""
    return versions.filter(pa.array([what.has(stream, one) for one in versions.column("_id").to_pylist()], pa.bool_()))


def _empty_outbox(pipeline: Pipeline, store: TileStore, spread: Spread, what: Forgotten) -> None:
    """Leave what is forgotten out of the parcels of the last batch, which its router may send once more."""
    reading = store.read([(OUTBOX, shard) for shard in range(spread.shards)])
    heads = [
        (OUTBOX, shard, _emptied(pipeline, read_parcel(body), what).packed())
        for shard, body in enumerate(reading.heads)
        if body is not None
    ]
    # the parcels of a batch that came meanwhile are without it: its router has read again what was forgotten
    with suppress(LostPartition):
        store.apply(Change(heads=heads, expected=standing(reading.knowledge.positions, [FENCE])))
    store.purge()


def _emptied(pipeline: Pipeline, parcel: Parcel, what: Forgotten) -> Parcel:
    events = {
        name: what.standing(pipeline.stream(name), table).to_pydict() for name, table in parcel.tables(pipeline).items()
    }
    return Parcel(parcel.epoch, parcel.meaning, parcel.moved, events)
