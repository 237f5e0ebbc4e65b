"""The audit: served vectors computed again from bronze, as of what each of them could know, and compared bit for bit.

Nothing of the serving path is trusted: the raw events within K go through the contract and the batch kernel; silver,
tiles and the online store are not read. A mismatch is a defect by definition, and is named with the features hit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import encode, integers
from sluice.engine.facts import encoded_schema
from sluice.engine.vectors import as_values, pack, unpack, vectors
from sluice.lake.contract import check
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake

AUDITS = pa.schema(
    {
        "request_id": pa.string(),
        "event_id": pa.string(),
        "event_time": pa.int64(),
        "definition": pa.string(),
        "equal": pa.bool_(),
        "features": pa.string(),
        "at": pa.int64(),
    }
)
"""The table `audits`: one row for each vector checked; `features` names those that differ, with both values."""


@dataclass(frozen=True)
class Served:
    """One served vector as it was logged."""

    request_id: str
    event_id: str
    request: Mapping[str, Any]
    event_time: int
    definition: str
    base: int
    positions: Mapping[str, int]
    vector: bytes

    @property
    def knowledge(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """K, to group by."""
        return self.base, tuple(sorted(self.positions.items()))


@dataclass(frozen=True)
class Audited:
    """What the audit found of one vector; `differences` maps features to (served, computed)."""

    served: Served
    differences: Mapping[str, tuple[object, object]]


def served_rows(predictions: Iterable[Mapping[str, Any]]) -> list[Served]:
    """The vectors of rows of the table `predictions`; a vector that shadows scored too counts once."""
    found: dict[tuple[str, str], Served] = {}
    for row in predictions:
        knowledge = json.loads(row["knowledge"])
        found[row["request_id"], row["event_id"]] = Served(
            row["request_id"],
            row["event_id"],
            orjson.loads(row["request"]),
            row["event_time"],
            row["definition"],
            knowledge["base"],
            knowledge["positions"],
            row["vector"],
        )
    return list(found.values())


def audit(lake: Lake, pipeline: Pipeline, served: Sequence[Served]) -> list[Audited]:
    """Compute every vector again from bronze at its (t, K), in the order of K."""
    groups: dict[tuple[int, tuple[tuple[str, int], ...]], list[Served]] = {}
    for item in served:
        groups.setdefault(item.knowledge, []).append(item)
    histories = {base: _History(lake, pipeline, base) for base in {item.base for item in served}}
    return [
        audited
        for (base, _), group in sorted(groups.items(), key=lambda item: item[0])
        for audited in _audit_group(pipeline, histories[base], group)
    ]


def audit_rows(audited: Iterable[Audited], at: int) -> list[dict[str, Any]]:
    """Rows of the table `audits`."""
    return [
        {
            "request_id": item.served.request_id,
            "event_id": item.served.event_id,
            "event_time": item.served.event_time,
            "definition": item.served.definition,
            "equal": not item.differences,
            "features": json.dumps({name: list(map(str, pair)) for name, pair in item.differences.items()}),
            "at": at,
        }
        for item in audited
    ]


class _History:
    """The encoded events of every stream from bronze, with where each came from, indexed by entity."""

    def __init__(self, lake: Lake, pipeline: Pipeline, base: int) -> None:
        self._pipeline = pipeline
        self._batches = lake.read("batches", version=base).to_pylist() if base >= 0 else []
        self._events = {stream.name: self._checked(lake, stream) for stream in pipeline.streams}
        scored = self._events[pipeline.events.name]
        self._by_key = {key: _Index(scored.column(key)) for key in pipeline.keys}
        self._by_id = _Index(scored.column("_id"))
        self._children = {
            stream.name: _Index(self._events[stream.name].column(stream.parent[0]))
            for stream in pipeline.streams
            if stream.parent is not None
        }

    def known(self, positions: Mapping[str, int], requests: pa.Table) -> dict[str, pa.Table]:
        """The events within K that can touch the entities of the requests."""
        scored = self._events[self._pipeline.events.name]
        places = [index.find(requests.column(key)) for key, index in self._by_key.items()]
        ids = scored.column("_id").take(pa.array(np.unique(np.concatenate(places))))
        # every version of those events, also one that moved to another entity
        mine = scored.take(pa.array(self._by_id.find(ids)))
        found = {self._pipeline.events.name: mine}
        for name, index in self._children.items():
            found[name] = self._events[name].take(pa.array(index.find(mine.column("_id"))))
        return {name: _within(table, positions) for name, table in found.items()}

    def _checked(self, lake: Lake, stream: Stream) -> pa.Table:
        parts = list(self._from_files(lake, stream))
        parts += self._from_topics(lake, stream)
        return pa.concat_tables(parts) if parts else _empty(stream)

    def _from_files(self, lake: Lake, stream: Stream) -> Iterator[pa.Table]:
        for batch in (row for row in self._batches if row["stream"] == stream.name):
            bronze = lake.read(f"events/{stream.name}", where=ds.field("batch") == batch["batch"])
            contract = replace(stream, sources={**stream.sources, **json.loads(batch["renamed"])})
            if len(bronze):
                yield _encoded(contract, bronze)

    def _from_topics(self, lake: Lake, stream: Stream) -> list[pa.Table]:
        if lake.open(f"events/{stream.name}") is None:
            return []
        bronze = lake.read(f"events/{stream.name}", where=pc.starts_with(ds.field("source"), "kafka:"))
        if len(bronze) == 0:
            return []
        ordered = bronze.sort_by([("source", "ascending"), ("partition", "ascending"), ("position", "ascending")])
        return [_watermarked(_encoded(stream, ordered))]


class _Index:
    """Where each value of a column is."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        encoded = column.combine_chunks().dictionary_encode()
        codes, valid = integers(encoded.indices)
        self._values = encoded.dictionary
        self._order = np.argsort(np.where(valid, codes, -1), kind="stable")
        ordered = np.where(valid, codes, -1)[self._order]
        self._starts = np.searchsorted(ordered, np.arange(len(self._values) + 1))

    def find(self, wanted: pa.ChunkedArray) -> np.ndarray:
        """The places of all rows whose value is among the wanted ones."""
        codes = pc.index_in(pc.unique(wanted), value_set=self._values).drop_null().to_pylist()
        slices = [self._order[self._starts[code] : self._starts[code + 1]] for code in codes]
        return np.concatenate([np.empty(0, np.int64), *slices]).astype(np.int64)


def _audit_group(pipeline: Pipeline, history: _History, group: Sequence[Served]) -> list[Audited]:
    requests = encode_requests(pipeline, [item.request for item in group])
    events = history.known(group[0].positions, requests)
    computed = as_values(pipeline, vectors(pipeline, events, requests))
    return [
        Audited(item, {} if item.vector == bits else _differences(pipeline, item.vector, bits))
        for item, bits in zip(group, pack(pipeline, computed), strict=True)
    ]


def _differences(pipeline: Pipeline, served: bytes, computed: bytes) -> dict[str, tuple[object, object]]:
    left, right = unpack(pipeline, [served]), unpack(pipeline, [computed])
    result: dict[str, tuple[object, object]] = {}
    for place in pipeline.features:
        pair = (_shown(left[place.name]), _shown(right[place.name]))
        if repr(pair[0]) != repr(pair[1]):
            result[place.name] = pair
    return result


def _shown(column: Any) -> object:
    values, valid = column
    return values[0].item() if valid[0] else None


def _encoded(stream: Stream, bronze: pa.Table) -> pa.Table:
    accepted = check(stream, bronze, batch="").accepted
    place = pc.binary_join_element_wise(
        accepted.column("_source"), accepted.column("_partition").cast(pa.string()), "/"
    )
    encoded = encode(accepted, stream)
    return encoded.append_column("_place", place).append_column("_position", accepted.column("_position"))


def _watermarked(events: pa.Table) -> pa.Table:
    """The greatest accepted event time at smaller offsets of each partition."""
    times, _ = integers(events.column("_time"))
    places = events.column("_place").to_numpy(zero_copy_only=False)
    before = np.full(len(times), np.iinfo(np.int64).min)
    for place in np.unique(places):
        mine = np.flatnonzero(places == place)
        before[mine[1:]] = np.maximum.accumulate(times[mine])[:-1]
    column = pa.array(before, pa.int64(), mask=before == np.iinfo(np.int64).min)
    return events.set_column(events.schema.get_field_index("_watermark"), "_watermark", column)


def _within(events: pa.Table, positions: Mapping[str, int]) -> pa.Table:
    """The events of files, and those of topics before the offset that K names."""
    places = events.column("_place").combine_chunks().dictionary_encode()
    limits = [_limit(place, positions) for place in places.dictionary.to_pylist()]
    if not limits:
        return events
    limit = np.array(limits, np.int64)[places.indices.to_numpy(zero_copy_only=False)]
    return events.filter(pa.array(integers(events.column("_position"))[0] < limit))


def _limit(place: str, positions: Mapping[str, int]) -> int:
    topic = place.removeprefix("kafka:")
    return positions.get(topic, 0) if topic != place else np.iinfo(np.int64).max


def _empty(stream: Stream) -> pa.Table:
    empty = encoded_schema(stream).empty_table()
    return empty.append_column("_place", pa.array([], pa.string())).append_column("_position", pa.array([], pa.int64()))
