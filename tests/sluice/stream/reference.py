"""What the topics mean, computed at once from all of their records, and what a store answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.build import build
from sluice.engine.encode import encode
from sluice.engine.facts import encoded_schema
from sluice.engine.history import keep, rows
from sluice.engine.read import answer
from sluice.engine.store import TileStore
from sluice.engine.vectors import as_values, pack, vectors
from sluice.lake.contract import check
from sluice.lake.requests import encode_requests
from sluice.stream.memory import MemoryRecord
from sluice.stream.records import bronze_rows
from sluice.stream.topics import stream_topic
from tests.sluice.stream.feeds import Message

_PLACE = {"_topic": pa.string(), "_partition": pa.int64(), "_position": pa.int64()}


def history(pipeline: Pipeline, records: Mapping[str, Sequence[MemoryRecord]]) -> dict[str, pa.Table]:
    """Every version of every event that the contract accepts, with the watermark that it met, by stream."""
    return {name: located.drop([*_PLACE]) for name, located in located_history(pipeline, records).items()}


def located_history(pipeline: Pipeline, records: Mapping[str, Sequence[MemoryRecord]]) -> dict[str, pa.Table]:
    """`history` with the place that each version came from: `_topic`, `_partition` and `_position`."""
    return {
        stream.name: _encoded(stream, records.get(stream_topic(pipeline.name, stream.name), []))
        for stream in pipeline.streams
    }


def known_within(located: Mapping[str, pa.Table], positions: Mapping[str, int]) -> dict[str, pa.Table]:
    """The history before some positions, named as in K."""
    found = {}
    for name, table in located.items():
        places = zip(*(table.column(column).to_pylist() for column in _PLACE), strict=True)
        before = [at < positions.get(f"{topic}/{partition}", 0) for topic, partition, at in places]
        found[name] = table.filter(pa.array(before, pa.bool_())).drop([*_PLACE])
    return found


def _encoded(stream: Stream, records: Sequence[MemoryRecord]) -> pa.Table:
    schema = pa.schema([*encoded_schema(stream), *_PLACE.items()])
    if not records:
        return schema.empty_table()
    accepted = check(stream, bronze_rows(records, batch=""), batch="").accepted
    rows = encode(accepted, stream).to_pylist()
    places = zip(*(accepted.column(name).to_pylist() for name in ("_source", "_partition", "_position")), strict=True)
    greatest: dict[int, int] = {}
    for row, (source, partition, position) in zip(rows, places, strict=True):
        row["_watermark"] = greatest.get(partition)
        greatest[partition] = max(row["_time"], greatest.get(partition, row["_time"]))
        row |= {"_topic": source.removeprefix("kafka:"), "_partition": partition, "_position": position}
    return pa.Table.from_pylist(rows, schema=schema)


def tiles_of(pipeline: Pipeline, events: Mapping[str, pa.Table]) -> dict[str, pa.Table]:
    """The tiles of all entities from the versions of events."""
    kept = keep(pipeline)
    return {view.name: build(view, rows(view, events, kept=kept)) for view in pipeline.windows}


def questions(messages: Sequence[Message], seed: int, size: int) -> list[dict[str, Any]]:
    """Requests of some payments of a feed, at their own time or hours later."""
    chance = random.Random(seed)
    rows = [_row(message.payload) for message in messages if message.stream == "payments"]
    whole = [row for row in rows if row is not None and set(row) >= {"payment_id", "paid_at", "card", "amount"}]
    asked = chance.sample(whole, size)
    return [{**row, "paid_at": chance.choice([row["paid_at"], "2024-02-06T12:00:00Z"])} for row in asked]


def _row(payload: bytes) -> dict[str, Any] | None:
    try:
        row = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return row if isinstance(row, dict) and row.get("amount", -1) >= 0 else None


def computed(pipeline: Pipeline, events: Mapping[str, pa.Table], asked: Sequence[dict[str, Any]]) -> list[bytes]:
    """Packed vectors of requests by the batch kernel."""
    return pack(pipeline, as_values(pipeline, vectors(pipeline, events, encode_requests(pipeline, asked))))


def answered(pipeline: Pipeline, store: TileStore, asked: Sequence[dict[str, Any]]) -> list[bytes]:
    """Packed vectors of requests by the read path."""
    return pack(pipeline, answer(pipeline, store, encode_requests(pipeline, asked)).values)
