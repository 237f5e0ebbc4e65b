"""The fold of one shard: what the routers tell it, into a store of its own, exactly once in effect.

The shard knows of a source what its router knew when it made the newest parcel that was taken in: everything up to
those positions that can touch an entity of the shard is in that parcel or one before it. They are written in the
transaction of the tiles, beside how far the shard's own partition was read, which decides where to go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.engine.fold import MicroBatch, fold
from sluice.engine.shards import Spread
from sluice.engine.shares import Share
from sluice.engine.store import OWN, Partition, Position, TileStore
from sluice.errors import Outage, UserError
from sluice.lake.forgetting.erasures import Remembers, nothing
from sluice.stream.owned import Owned
from sluice.stream.parcels import Parcel, meaning_of, read_parcel
from sluice.stream.records import Record
from sluice.stream.tidying import Tidying
from sluice.stream.topics import entity_topic

_READ = f"{OWN}parcels"


class ShardFold:
    """Folds what concerns the entities of one shard."""

    def __init__(
        self, pipeline: Pipeline, store: TileStore, spread: Spread, number: int, *, remembers: Remembers = nothing
    ) -> None:
        self.pipeline, self.store, self.number = pipeline, store, number
        self._share = Share(number, spread.shards)
        self._owned = Owned(store, number)
        # after the store was read: whatever is forgotten later moves its fence
        self._forgotten = remembers()
        self._meaning = meaning_of(pipeline, spread.shards)
        self._tidying = Tidying(pipeline)

    @property
    def epoch(self) -> str:
        """The name of the load that started its store."""
        return self._owned.epoch

    @property
    def sources(self) -> list[Partition]:
        """The partition that it reads."""
        return [(entity_topic(self.pipeline.name), self.number)]

    def offset(self, _: Partition) -> int | None:
        """The next offset of its partition; None if nothing of it was read."""
        return self._owned.offset((_READ, self.number))

    def take(self, records: Sequence[Record]) -> None:
        """Fold parcels that follow those that were folded; LostPartition when another owner has taken over."""
        before = self.offset(self.sources[0])
        waiting = [record for record in records if record.offset >= (before or 0)]
        if not waiting:
            return
        parcels = [parcel for record in waiting if (parcel := self._parcel(record)) is not None]
        positions = {**self._moved(parcels), (_READ, self.number): Position(waiting[-1].offset + 1, None)}
        expected = {(_READ, self.number): before, **self._owned.claim}
        fold(self.pipeline, self.store, MicroBatch(self._events(parcels), expected, positions), self._share)
        self._owned.positions.update(positions)
        watermark = self._tidying.due(at for place, at in self._owned.positions.items() if not place[0].startswith(OWN))
        if watermark is not None:
            self._owned.forget(self.pipeline, watermark, [(_READ, self.number)])

    def check(self) -> None:
        """LostPartition if another owner has taken over."""
        self._owned.check()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()

    def _parcel(self, record: Record) -> Parcel | None:
        """The parcel of a record; none if a router sent it that was started from another base."""
        parcel = read_parcel(record.value or b"")
        if parcel.epoch != self._owned.epoch:
            return None
        if parcel.meaning != self._meaning:
            raise UserError(
                "the router reads events by another declaration than this shard",
                where=f"{record.topic}/{record.partition}, offset {record.offset}",
                next_step="run the flow `features` for the new declaration, then start routers and folds with it",
            )
        return parcel

    def _moved(self, parcels: Sequence[Parcel]) -> dict[Partition, Position]:
        """Where the sources stand after some parcels; one that comes again moves nothing back."""
        found: dict[Partition, Position] = {}
        for parcel in parcels:
            for place, moved in parcel.moved.items():
                held = found.get(place) or self._owned.positions.get(place) or Position(0, None)
                if held.offset < moved.before:
                    raise Outage(
                        f"this shard knows {place[0]}/{place[1]} up to offset {held.offset}, and the next that it is "
                        f"told begins at {moved.before}",
                        where=f"{entity_topic(self.pipeline.name)}/{self.number}",
                        next_step="run the flow `features`: all shards and routers start from one base again",
                    )
                if moved.after.offset > held.offset:
                    found[place] = moved.after
        return found

    def _events(self, parcels: Sequence[Parcel]) -> Mapping[str, pa.Table]:
        parts: dict[str, list[pa.Table]] = {}
        for parcel in parcels:
            for name, table in parcel.tables(self.pipeline).items():
                known = self._forgotten.standing(self.pipeline.stream(name), table)
                parts.setdefault(name, []).append(known)
        return {name: pa.concat_tables(tables) for name, tables in parts.items()}
