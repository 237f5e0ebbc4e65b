"""Tiles equal events: what the online store answers of some entities beside what bronze says, bit for bit.

The audit of vectors that nobody asked for: their requests are made up of events in history, at the newest moment that
history or the store knows of, as what is older than a view's horizon is no longer in a store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.dataset as ds

from sluice.clock import rfc3339
from sluice.declare.functions import LIFETIME
from sluice.declare.pipeline import Pipeline
from sluice.engine.asof import NOTHING
from sluice.engine.read import Answer, answer
from sluice.engine.store import TileReader
from sluice.engine.vectors import pack
from sluice.lake.asof import load, newest
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.monitor.audit import Audited, Served, audit, served_of


def check_tiles(lake: Lake, pipeline: Pipeline, store: TileReader, *, most: int, seed: int) -> list[Audited]:
    """The store's vectors of up to `most` recent events' entities, audited; Outage while the archive is behind it."""
    marks = [position.watermark for position in store.read([]).knowledge.positions.values()]
    asked = list(_requests(lake, pipeline, max((mark for mark in marks if mark is not None), default=0), most, seed))
    if not asked:
        return []
    encoded = encode_requests(pipeline, asked)
    lookups = load(lake, pipeline, newest(lake, pipeline)) if pipeline.lookups else NOTHING
    found = answer(pipeline, store, encoded, lookups)
    return audit(lake, pipeline, list(_served(pipeline, asked, encoded, found)), fresh=True)


def _requests(lake: Lake, pipeline: Pipeline, latest: int, most: int, seed: int) -> Iterator[dict[str, Any]]:
    """Events of history, asked about once more at its newest moment, or at `latest`."""
    stream = pipeline.events
    table = f"silver/{stream.name}"
    times = [chunk.column("_time").to_numpy() for chunk in lake.scan(table, columns=["_time"])]
    if not any(map(len, times)):
        return
    latest = max(latest, *(int(chunk.max()) for chunk in times if len(chunk)))
    horizon = max((view.horizon for view in pipeline.windows if view.horizon < LIFETIME), default=0)
    columns = list(stream.all_columns)
    recent = lake.read(table, columns=columns, where=ds.field("_time") > pa.scalar(latest - horizon, pa.int64()))
    chosen = np.random.default_rng(seed).permutation(len(recent))[:most]
    for row in recent.take(pa.array(np.sort(chosen))).to_pylist():
        plain: dict[str, Any] = orjson.loads(orjson.dumps(row, default=str))
        yield plain | {stream.time: rfc3339(latest)} | dict.fromkeys(stream.id_columns)


def _served(pipeline: Pipeline, asked: list[dict[str, Any]], encoded: pa.Table, found: Answer) -> Iterator[Served]:
    times = encoded.column("_time").to_pylist()
    for place, (row, time, vector) in enumerate(zip(asked, times, pack(pipeline, found.values), strict=True)):
        told: Mapping[str, Any] = {
            "request_id": f"doctor-{place}",
            "event_id": "",
            "request": orjson.dumps(row),
            "event_time": time,
            "definition": pipeline.definition,
            "vector": vector,
        }
        yield served_of(told, found.known(place))
