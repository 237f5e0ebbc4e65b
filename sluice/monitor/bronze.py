"""History as the audit sees it: raw events under the contract, and which of them a served vector could know.

Silver, tiles and the online store are not read. Positions in topics are written `topic/partition`, as in K.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import Ints, Mask, encode, integers
from sluice.engine.facts import encoded_schema
from sluice.errors import Outage
from sluice.lake.contract import BRONZE, TOPIC, check
from sluice.lake.decoding import Schema
from sluice.lake.keeping.retired import Gone, gone
from sluice.lake.plan import published_batches
from sluice.lake.schemas import kept_for
from sluice.lake.tables import Lake
from sluice.lake.watermarks import with_erased

_CHUNK = 65_536
_ALWAYS = np.iinfo(np.int64).max
"""The limit of a file: its events are known with the bases that have its batch."""


class Bronze:
    """All that has been published from files and all that the topics have, by stream, and what each base has of it."""

    def __init__(self, lake: Lake, pipeline: Pipeline, bases: Iterable[int]) -> None:
        self._root = lake.root
        self._based = {base: published_batches(lake, base) for base in bases}
        # what is published is never taken back, so the newest version has the batches of every other
        published = published_batches(lake, lake.version("batches"))
        self._streams = {
            stream.name: _read(lake, stream, [row for row in published if row["stream"] == stream.name])
            for stream in pipeline.streams
        }

    @property
    def events(self) -> dict[str, pa.Table]:
        """Every accepted version of every event, encoded."""
        return {name: stream.events for name, stream in self._streams.items()}

    def require(self, positions: Mapping[str, int]) -> None:
        """Outage unless everything before these positions is archived."""
        ends: dict[str, int] = {}
        for stream in self._streams.values():
            ends |= stream.ends
        for place, offset in positions.items():
            if ends.get(place, 0) < offset:
                raise Outage(
                    f"vectors know {place} up to offset {offset}, and the archive has {ends.get(place, 0)}",
                    where=self._root,
                    next_step="let the archive catch up, and audit again",
                )

    def known(self, stream: str, rows: Ints, base: int, positions: Mapping[str, int]) -> Mask:
        """Which of some rows of a stream lie within K: a base, and the topics up to the positions."""
        held, based = self._streams[stream], self._based[base]
        batches, reached = {row["batch"] for row in based if row["stream"] == stream}, _reached(based)
        limits = np.array([_limit(place, batches, reached, positions) for place in held.places], np.int64)
        return held.position[rows] < limits[held.place[rows]]


def _limit(place: str, batches: AbstractSet[str], reached: Mapping[str, int], positions: Mapping[str, int]) -> int:
    """The first position of a place that is not within K."""
    if not place.startswith(TOPIC):
        return _ALWAYS if place in batches else 0
    topic = place.removeprefix(TOPIC)
    return max(positions.get(topic, 0), reached.get(topic, 0))


@dataclass(frozen=True)
class _Held:
    """The events of one stream with the place (a code into `places`) and position of each.

    The place of an event is the partition of its topic, or the batch that brought its file.
    """

    events: pa.Table
    places: Sequence[str]
    place: Ints
    position: Ints
    ends: Mapping[str, int]
    """The offset after the last archived record of each partition."""


def _read(lake: Lake, stream: Stream, batches: Sequence[Mapping[str, Any]]) -> _Held:
    parts, ends = [], dict[str, int]()
    if lake.open(f"events/{stream.name}") is not None:
        parts = [part for batch in batches for part in _from_files(lake, stream, batch)]
        archived = _archived(lake, stream)
        ends = _ends(archived, gone(lake, stream.name))
        parts += _from_topics(stream, archived, kept_for(lake, stream))
    events = pa.concat_tables([_empty(stream), *parts]).combine_chunks()
    place = events.column("_place").combine_chunks().dictionary_encode()
    codes, _ = integers(place.indices)
    position, _ = integers(events.column("_position"))
    return _Held(events.drop(["_place", "_position"]), place.dictionary.to_pylist(), codes, position, ends)


def _from_files(lake: Lake, stream: Stream, batch: Mapping[str, Any]) -> Iterator[pa.Table]:
    """The events of a published batch, under the contract that was its own."""
    contract = replace(stream, sources={**stream.sources, **json.loads(batch["renamed"])})
    bronze = lake.read(f"events/{stream.name}", where=ds.field("batch") == batch["batch"])
    for chunk in bronze.to_batches(max_chunksize=_CHUNK):
        accepted = check(contract, pa.Table.from_batches([chunk]), batch="").accepted
        yield _encoded(contract, accepted, pa.array([batch["batch"]] * len(accepted), pa.string()))


def _archived(lake: Lake, stream: Stream) -> pa.Table:
    rows = lake.read(f"events/{stream.name}", where=pc.starts_with(ds.field("source"), TOPIC))
    return rows.select(BRONZE.names).sort_by([(name, "ascending") for name in ("source", "partition", "position")])


def _from_topics(stream: Stream, archived: pa.Table, schemas: Mapping[int, Schema]) -> Iterator[pa.Table]:
    watermarks: dict[str, int] = {}
    for chunk in archived.to_batches(max_chunksize=_CHUNK):
        rows = pa.Table.from_batches([chunk])
        accepted = check(stream, rows, batch="", schemas=schemas).accepted
        marked, watermarks = with_erased(accepted, watermarks, rows)
        partition = marked.column("_partition").cast(pa.string())
        yield _encoded(stream, marked, pc.binary_join_element_wise(marked.column("_source"), partition, "/"))


def _ends(archived: pa.Table, dropped: Mapping[tuple[str, int], Gone]) -> dict[str, int]:
    """The offset after the last record that was archived, be it that retention has dropped it since."""
    last = archived.group_by(["source", "partition"]).aggregate([("position", "max")]).to_pylist()
    ends = {(row["source"], row["partition"]): row["position_max"] + 1 for row in last}
    for place, one in dropped.items():
        ends[place] = max(one.last + 1, ends.get(place, 0))
    return {f"{source.removeprefix(TOPIC)}/{partition}": end for (source, partition), end in ends.items()}


def _reached(batches: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """The offset after the last record of each partition that the batches of a base have."""
    reached: dict[str, int] = {}
    for batch in batches:
        for source, last in json.loads(batch["sources"] or "{}").items():
            place = source.removeprefix(TOPIC)
            if place != source:
                reached[place] = max(last + 1, reached.get(place, 0))
    return reached


def _encoded(stream: Stream, accepted: pa.Table, place: pa.Array) -> pa.Table:
    encoded = encode(accepted, stream).cast(encoded_schema(stream))
    return encoded.append_column("_place", place).append_column("_position", accepted.column("_position"))


def _empty(stream: Stream) -> pa.Table:
    schema = encoded_schema(stream)
    return pa.schema([*schema, ("_place", pa.string()), ("_position", pa.int64())]).empty_table()
