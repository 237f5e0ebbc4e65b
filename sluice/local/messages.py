"""Messages of a live feed: an event as a producer sends it, and when."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa

from sluice.lake.rowfiles import plain_values


class Message(NamedTuple):
    """One message: what a producer sends, and when."""

    stream: str
    arrival: int
    """Microseconds since the epoch; never decreases along a feed."""
    payload: bytes
    """JSON of the stream's own columns, times as RFC 3339 with microseconds in UTC; malformed ones may be broken."""
    id: int | str | None
    """The event's id, None where the payload has none that can be read."""


def by_arrival(message: Message) -> int:
    """The order in which streams are merged."""
    return message.arrival


def json_values(column: pa.Array) -> list[object]:
    """A column as JSON holds it, as in a file that is ingested; instants become RFC 3339 text."""
    if not pa.types.is_timestamp(column.type):
        return plain_values(column)
    instants = column.cast(pa.timestamp("us", column.type.tz), safe=False).to_numpy(zero_copy_only=False)
    texts = np.datetime_as_string(instants.astype("datetime64[us]"), unit="us", timezone="UTC")
    return [None if text == "NaT" else text for text in texts.tolist()]
