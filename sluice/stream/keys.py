"""What the records of a stream are keyed by: the event that they are about, so that all about it lie in one partition.

The key is that event's id as text, in UTF-8, and the partition is the one that Kafka's own clients choose for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from kafka.partitioner.default import murmur2

from sluice.declare.streams import Stream
from sluice.engine.tiles import Id
from sluice.lake.decoding import Broken, Schema, decode
from sluice.lake.typing import id_of, integer, type_column


def record_key(stream: Stream, payload: bytes, schemas: Mapping[int, Schema] = MappingProxyType({})) -> bytes | None:
    """The key of an event from what its producer sends; None where the payload does not say what it is about.

    It is the id of the event that it tells about, else its own. `schemas` are those that the messages name, if any.
    """
    row = decode(stream.format, payload, schemas)
    if isinstance(row, Broken):
        return None
    about = None if stream.parent is None else _id(stream.parent[1].id_type, row.get(stream.source(stream.parent[0])))
    own = about if about is not None else _own(stream, row)
    return None if own is None else anchor_key(own)


def anchor_key(anchor: Id) -> bytes:
    """The key of the records about an event."""
    return str(anchor).encode()


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: what the Java client and kafka-python choose."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


def _own(stream: Stream, row: dict[str, object]) -> Id | None:
    names = stream.id_columns
    if len(names) == 1:
        return _id(stream.id_type, row.get(stream.source(names[0])))
    if not names:
        return None
    typed = {name: type_column(stream, name, [row.get(stream.source(name))]) for name in names}
    nothing = np.zeros(1, np.int64)
    found: str | None = id_of(stream, typed, nothing, nothing)[0].as_py()
    return found


def _id(kind: str, value: object) -> Id | None:
    if kind == "integer":
        return integer(value)
    return value if isinstance(value, str) else None
