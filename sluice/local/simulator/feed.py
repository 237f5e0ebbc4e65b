"""Both streams as messages in order of arrival, for a live replay."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import orjson
import pyarrow as pa

from sluice.local.messages import Message, by_arrival, json_values
from sluice.local.simulator.delivery import FATES
from sluice.local.simulator.simulation import Simulation
from sluice.local.simulator.tables import SCHEMAS

_CHUNK = 8_192
_UNPARSABLE, _MISSING_ID = FATES.index("unparsable"), FATES.index("missing_id")


def feed(simulation: Simulation, from_day: int = 0, until_day: int | None = None) -> Iterator[Message]:
    """Every row that arrives on days from `from_day` to before `until_day` (the world's end), in order of arrival.

    The rows before `from_day` are those that `write_history(until_day=from_day)` writes: together, each exactly once.
    """
    streams = (_items(stream, simulation.arriving(stream, from_day, until_day)) for stream in SCHEMAS)
    return heapq.merge(*streams, key=by_arrival)


def _items(stream: str, rows: pa.Table) -> Iterator[Message]:
    names = SCHEMAS[stream].names
    for chunk in rows.to_batches(max_chunksize=_CHUNK):
        arrivals, fates = chunk.column("arrival").to_pylist(), chunk.column("fate").to_pylist()
        columns = [json_values(chunk.column(name)) for name in names]
        for arrival, fate, values in zip(arrivals, fates, zip(*columns, strict=True), strict=True):
            readable = fate not in {_UNPARSABLE, _MISSING_ID}
            payload = _payload(dict(zip(names, values, strict=True)), fate)
            yield Message(stream, arrival, payload, values[0] if readable else None)


def _payload(row: dict[str, object], fate: int) -> bytes:
    if fate == _MISSING_ID:
        del row["transaction_id"]
    payload = orjson.dumps(row)
    return payload[: len(payload) // 2] if fate == _UNPARSABLE else payload
