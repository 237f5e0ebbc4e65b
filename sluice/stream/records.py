"""Records of a topic as raw events: the same table whether they go to the fold or to the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from sluice.lake.contract import BRONZE
from sluice.stream.topics import source_of


class Record(Protocol):
    """What kafka-python gives for one message."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def bronze_rows(records: Sequence[Record], *, batch: str) -> pa.Table:
    """Raw events with their source position; `known` is the record's timestamp, revision and operation its headers."""
    headers = [dict(record.headers) for record in records]
    return pa.table(
        {
            "payload": [record.value or b"" for record in records],
            "source": [source_of(record.topic) for record in records],
            "partition": [record.partition for record in records],
            "position": [record.offset for record in records],
            "known": [record.timestamp * 1000 for record in records],
            "revision": [_number(found.get("_revision")) for found in headers],
            "op": [1 if found.get("_op") == b"delete" else 0 for found in headers],
            "batch": [batch] * len(records),
        },
        schema=BRONZE,
    )


def _number(header: bytes | None) -> int:
    return int(header) if header and header.isdigit() else 0
