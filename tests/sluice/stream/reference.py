"""What the topics mean, computed at once from all of their records, and what a store answers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.streams import Stream
from sluice.engine.encode import encode
from sluice.engine.facts import encoded_schema
from sluice.engine.read import answer
from sluice.engine.store import TileStore
from sluice.engine.vectors import as_values, pack, vectors
from sluice.lake.contract import check
from sluice.lake.requests import encode_requests
from sluice.stream.memory import MemoryRecord
from sluice.stream.records import bronze_rows
from sluice.stream.topics import stream_topic
from tests.sluice.stream.feeds import Message


def history(pipeline: Pipeline, records: Mapping[str, Sequence[MemoryRecord]]) -> dict[str, pa.Table]:
    """Every version of every event that the contract accepts, with the watermark that it met, by stream."""
    return {
        stream.name: _encoded(stream, records.get(stream_topic(pipeline.name, stream.name), []))
        for stream in pipeline.streams
    }


def _encoded(stream: Stream, records: Sequence[MemoryRecord]) -> pa.Table:
    if not records:
        return encoded_schema(stream).empty_table()
    rows = encode(check(stream, bronze_rows(records, batch=""), batch="").accepted, stream).to_pylist()
    greatest: int | None = None
    for row in rows:
        row["_watermark"] = greatest
        greatest = row["_time"] if greatest is None else max(greatest, row["_time"])
    return pa.Table.from_pylist(rows, schema=encoded_schema(stream))


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
