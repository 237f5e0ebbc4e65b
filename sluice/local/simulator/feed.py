"""Both streams as messages in order of arrival, for a live replay."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from sluice.local.simulator.delivery import FATES
from sluice.local.simulator.simulation import Simulation
from sluice.local.simulator.tables import SCHEMAS, TIME

_CHUNK = 8_192
_UNPARSABLE, _MISSING_ID = FATES.index("unparsable"), FATES.index("missing_id")


class FeedItem(NamedTuple):
    """One message: what a producer sends, and when."""

    stream: str
    arrival: int
    """Microseconds since the epoch; never decreases along a feed."""
    payload: bytes
    """JSON of the stream's own columns, times as RFC 3339 with microseconds in UTC; malformed ones may be broken."""
    id: int | None
    """The event's id, None where the payload has none that can be read."""


def feed(simulation: Simulation, from_day: int = 0, until_day: int | None = None) -> Iterator[FeedItem]:
    """Every row that arrives on days from `from_day` to before `until_day` (the world's end), in order of arrival.

    The rows before `from_day` are those that `write_history(until_day=from_day)` writes: together, each exactly once.
    """
    streams = (_items(stream, simulation.arriving(stream, from_day, until_day)) for stream in SCHEMAS)
    return heapq.merge(*streams, key=_arrival)


def _arrival(item: FeedItem) -> int:
    return item.arrival


def _items(stream: str, rows: pa.Table) -> Iterator[FeedItem]:
    names = SCHEMAS[stream].names
    for chunk in rows.to_batches(max_chunksize=_CHUNK):
        arrivals, fates = chunk.column("arrival").to_pylist(), chunk.column("fate").to_pylist()
        columns = [_json_values(chunk.column(name)) for name in names]
        for arrival, fate, values in zip(arrivals, fates, zip(*columns, strict=True), strict=True):
            readable = fate not in {_UNPARSABLE, _MISSING_ID}
            payload = _payload(dict(zip(names, values, strict=True)), fate)
            yield FeedItem(stream, arrival, payload, values[0] if readable else None)


def _payload(row: dict[str, object], fate: int) -> bytes:
    if fate == _MISSING_ID:
        del row["transaction_id"]
    payload = orjson.dumps(row)
    return payload[: len(payload) // 2] if fate == _UNPARSABLE else payload


def _json_values(column: pa.Array) -> list[object]:
    if column.type != TIME:
        values: list[object] = column.to_pylist()
        return values
    texts = np.datetime_as_string(
        column.to_numpy(zero_copy_only=False).astype("datetime64[us]"), unit="us", timezone="UTC"
    )
    return [None if text == "NaT" else text for text in texts.tolist()]
