"""Replays into topics: refused events sent again, each once, whatever dies in between.

Each record says in a header which row of which replay it is. What is there already is found by reading the topic from
where it ended when the replay was claimed, so that a replay that died is gone on with, and not begun anew.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sluice.declare.pipeline import Pipeline
from sluice.engine.versions import DELETE
from sluice.errors import Outage
from sluice.lake.decoding import Schema
from sluice.lake.replays import Replay
from sluice.stream.keys import record_key
from sluice.stream.producer import Headers, Sender
from sluice.stream.records import Record
from sluice.stream.subscription import Subscription
from sluice.stream.topics import source_of, stream_topic

HEADER = "_replay"
_PATIENCE_S = 20.0


def ends_of(bootstrap: str, topic: str) -> dict[int, int]:
    """Where each partition of a topic ends."""
    with Subscription(bootstrap, [topic], lambda _: None) as subscription:
        return {number: end for (_, number), end in subscription.ends().items()}


def send_again(
    bootstrap: str,
    producer: Sender,
    pipeline: Pipeline,
    replay: Replay,
    at: int,
    schemas: Mapping[int, Schema] = MappingProxyType({}),
) -> dict[str, int]:
    """Send what is missing of a replay, known at `at`; the last position of each `source/partition` that has of it.

    `schemas` are those that its messages name, if any.
    """
    stream = pipeline.stream(replay.stream)
    topic = stream_topic(pipeline.name, stream.name)
    there = _rows_in(bootstrap, topic, replay)
    places = list(there.values())
    for row in replay.rows:
        if row["row"] not in there:
            producer.send(
                topic,
                row["payload"],
                at=at,
                key=record_key(stream, row["payload"], schemas),
                headers=headers_of(replay.name, row),
                stored=lambda partition, offset: places.append((partition, offset)),
            )
    producer.flush()
    last: dict[str, int] = {}
    for partition, offset in places:
        place = f"{source_of(topic)}/{partition}"
        last[place] = max(offset, last.get(place, offset))
    return last


def headers_of(name: str, row: Mapping[str, Any]) -> Headers:
    """What a record says of itself beside its payload; a revision that nobody can read is still none."""
    revision = b"?" if row["revision"] is None else str(row["revision"]).encode()
    operation = b"?" if row["op"] is None else (b"delete" if row["op"] == DELETE else b"put")
    return [("_revision", revision), ("_op", operation), (HEADER, f"{name}/{row['row']}".encode())]


def _rows_in(bootstrap: str, topic: str, replay: Replay) -> dict[int, tuple[int, int]]:
    """By row, where a topic has it already."""
    begins = dict(replay.ends or {})
    found: dict[int, tuple[int, int]] = {}
    with Subscription(bootstrap, [topic], lambda partition: begins.get(partition[1], 0)) as subscription:
        missing = {number: end - 1 for (_, number), end in subscription.ends().items() if end > begins.get(number, 0)}
        deadline = time.monotonic() + _PATIENCE_S
        while missing:
            records = subscription.poll(500)
            for record in records:
                row = _row_of(record, replay.name)
                if row is not None:
                    found[row] = (record.partition, record.offset)
                if record.offset >= missing.get(record.partition, record.offset + 1):
                    del missing[record.partition]
            deadline = time.monotonic() + _PATIENCE_S if records else deadline
            if time.monotonic() > deadline:
                raise Outage(f"{topic} was not read to its end", where=bootstrap, next_step="run the replay again")
    return found


def _row_of(record: Record, name: str) -> int | None:
    told, _, row = dict(record.headers).get(HEADER, b"").decode(errors="replace").partition("/")
    return int(row) if told == name and row.isdecimal() else None
