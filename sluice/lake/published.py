"""Events of published batches, encoded, found by batch, time or id: what a backfill reads to go on from another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import OWN_COLUMNS, encode
from sluice.engine.facts import encoded_schema
from sluice.lake.backfills import batches
from sluice.lake.contract import silver_schema
from sluice.lake.tables import Lake
from sluice.lake.within import Bounds, between, bounds

Events = Mapping[str, pa.Table]
"""Encoded versions of events by stream."""


@dataclass(frozen=True)
class Published:
    """The batches of a version of `batches`, as far as they were not in an older one (`after`)."""

    lake: Lake
    pipeline: Pipeline
    base: int
    after: int = -1

    def read(self, stream: Stream, where: ds.Expression | None = None, **within: Bounds) -> pa.Table:
        """The versions of a stream that meet a condition on silver's columns and whose values lie within bounds.

        Files that have no row within are not looked at.
        """
        held = self.lake.open(f"silver/{stream.name}") if self._batches(stream) else None
        if held is None:
            return encoded_schema(stream).empty_table()
        mine = pa.array(self._batches(stream), pa.string())
        asked = between(**within, _batch=bounds(mine) or (None, None))
        condition = ds.field("_batch").isin(mine)
        wanted = asked.condition(condition if where is None else condition & where)
        dataset = self.lake.dataset(held, silver_schema(stream), within=asked)
        return encode(pa.table(dataset.to_table([*OWN_COLUMNS, *stream.columns], filter=wanted)), stream)

    def with_ids(self, stream: Stream, ids: pa.Array, column: str = "_id") -> pa.Table:
        """The versions of some events, or those that name one of some ids in another column."""
        wanted = pc.drop_null(pc.unique(ids))
        ends = bounds(wanted)
        if ends is None:
            return encoded_schema(stream).empty_table()
        return self.read(stream, ds.field(column).isin(wanted), **{column: ends})

    def all(self) -> Events:
        """Every version of every stream."""
        return {stream.name: self.read(stream) for stream in self.pipeline.streams}

    def about(self, ids: pa.Array) -> Events:
        """What tells of some scored events: every version of each teller of which one names them."""
        found: dict[str, pa.Table] = {}
        for stream in telling(self.pipeline):
            named = self.with_ids(stream, ids, parent_of(stream))
            found[stream.name] = self.with_ids(stream, named.column("_id").combine_chunks())
        return found

    def related(self, arrived: Events) -> Events:
        """Every version that can decide what the arrived ones change, as in a micro-batch (`engine.fold`).

        What speaks of an event may be corrected to speak of another: so beside the versions of the same events, all
        versions of every speaker about them.
        """
        found: dict[str, Sequence[pa.Table]] = {stream.name: [] for stream in self.pipeline.streams}
        anchors = {stream.name: [ids_of(arrived[stream.name])] for stream in self.pipeline.streams}
        for stream in telling(self.pipeline):
            own = self.with_ids(stream, ids_of(arrived[stream.name]))
            found[stream.name] = [own]
            parent = str(stream.parent[1].name) if stream.parent else ""
            anchors[parent] += [ids_of(side, parent_of(stream)) for side in (arrived[stream.name], own)]
        for stream in self.pipeline.streams:
            if stream.parent is None:
                found[stream.name] = [self.with_ids(stream, pa.concat_arrays(anchors[stream.name]))]
            else:
                named = self.with_ids(stream, pa.concat_arrays(anchors[stream.parent[1].name]), parent_of(stream))
                speakers = self.with_ids(stream, ids_of(named))
                found[stream.name] = [*found[stream.name], named, speakers]
        return {name: pa.concat_tables(parts) for name, parts in found.items()}

    def _batches(self, stream: Stream) -> list[str]:
        return [batch for name, batch in self._names if name == stream.name]

    @cached_property
    def _names(self) -> list[tuple[str, str]]:
        before = batches(self.lake, self.after)
        return [name for name in batches(self.lake, self.base) if name not in before]


def telling(pipeline: Pipeline) -> list[Stream]:
    """The streams whose events are about events of another."""
    return [stream for stream in pipeline.streams if stream.parent is not None]


def parent_of(stream: Stream) -> str:
    """The column that names the event which an event of a telling stream is about."""
    if stream.parent is None:
        raise AssertionError(f"{stream} tells about nothing")
    return stream.parent[0]


def ids_of(events: pa.Table, column: str = "_id") -> pa.Array:
    """A column of ids as one array."""
    return events.column(column).combine_chunks()
