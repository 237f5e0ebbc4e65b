"""Records of a topic as raw events: the same table whether they go to the fold or to the archive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from sluice.engine.store import Partition
from sluice.engine.versions import DELETE, PUT
from sluice.lake.contract import BRONZE
from sluice.stream.topics import source_of

_OPERATIONS = {b"put": PUT, b"delete": DELETE}
_GREATEST_REVISION = 2**31 - 1
_NO_TIMESTAMP = -1
"""What a record has whose producer gave it none."""


class Record(Protocol):
    """What kafka-python gives for one message."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


def bronze_rows(records: Sequence[Record], *, batch: str) -> pa.Table:
    """Raw events with their source position; `known` is the record's timestamp, revision and operation its headers.

    A header that cannot be read gives null, for which the contract refuses the row.
    """
    headers = [dict(record.headers) for record in records]
    return pa.table(
        {
            "payload": [record.value or b"" for record in records],
            "source": [source_of(record.topic) for record in records],
            "partition": [record.partition for record in records],
            "position": [record.offset for record in records],
            "known": [_known(record.timestamp) for record in records],
            "revision": [_revision(found.get("_revision", b"0")) for found in headers],
            "op": [_OPERATIONS.get(found.get("_op", b"put")) for found in headers],
            "batch": [batch] * len(records),
        },
        schema=BRONZE,
    )


def by_partition(records: Sequence[Record]) -> dict[Partition, list[Record]]:
    """Records of each partition, in the order in which they came."""
    groups: dict[Partition, list[Record]] = {}
    for record in records:
        groups.setdefault((record.topic, record.partition), []).append(record)
    return groups


def _known(timestamp: int) -> int | None:
    return None if timestamp == _NO_TIMESTAMP else timestamp * 1000


def _revision(header: bytes) -> int | None:
    number = int(header) if header and header.isdigit() else -1
    return number if 0 <= number <= _GREATEST_REVISION else None
