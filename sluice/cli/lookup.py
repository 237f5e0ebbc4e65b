"""An entity's features from the online store, and the events behind them, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from sluice.clock import open_clock, rfc3339
from sluice.declare.columns import Category, Decimal
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.asof import NOTHING
from sluice.engine.encode import encode_column
from sluice.engine.layout import FLAGS, TIME, VALUES
from sluice.engine.read import Held, answer, read_tiles, read_view
from sluice.engine.shards import open_online
from sluice.engine.store import TileReader
from sluice.engine.tiles import Id, Rows, read_chunk, read_head
from sluice.errors import UserError
from sluice.lake.asof import load, newest
from sluice.lake.requests import encode_requests
from sluice.lake.tables import Lake
from sluice.lake.typing import times, type_column
from sluice.settings import settings


def look_up(pipeline: Pipeline, given: Mapping[str, str], at: str | None, most: int) -> Iterator[str]:
    """The vector's values, or those that need no request, then the newest events of each view."""
    known = {*pipeline.events.all_columns}
    for name in given:
        if name not in known:
            raise UserError.unknown("column", name, sorted(known), where="features get")
    moment = _moment(at)
    store = open_online(settings().online_uri, pipeline.name)
    try:
        needed = {name for name, column in pipeline.events.columns.items() if not column.nullable}
        whole = needed <= set(given)
        yield from _vector(pipeline, store, given, moment) if whole else _views(pipeline, store, given, moment)
        for view in pipeline.windows:
            yield from _behind(view, store, _key(pipeline, view.of, given), moment, most)
    finally:
        store.close()


def _vector(pipeline: Pipeline, store: TileReader, given: Mapping[str, str], at: int) -> Iterator[str]:
    request = encode_requests(pipeline, [{pipeline.events.time: rfc3339(at), **given}])
    lake = Lake(settings().places.lake_uri, pipeline.name)
    lookups = load(lake, pipeline, newest(lake, pipeline)) if pipeline.lookups else NOTHING
    found = answer(pipeline, store, request, lookups)
    yield f"vector of a request at {rfc3339(at)}, knowing {found.known()}"
    for place in pipeline.features:
        yield _line(place.name, *found.values[place.name])


def _views(pipeline: Pipeline, store: TileReader, given: Mapping[str, str], at: int) -> Iterator[str]:
    yield f"values at {rfc3339(at)}, without a request: what needs one is null"
    for view in pipeline.windows:
        for name, column in read_view(view, store, [_key(pipeline, view.of, given)], at).items():
            yield _line(f"{view.name}__{name}", *column)


def _line(name: str, values: Any, valid: Any) -> str:
    return f"  {name:<48} {values[0].item() if valid[0] else 'null'}"


def _behind(view: Windows, store: TileReader, key: Id | None, at: int, most: int) -> Iterator[str]:
    held, _ = read_tiles(store, [(view, key, None)])
    rows = _rows(view, held[0])
    seen = rows[(rows[:, TIME] <= at - view.lag) & (rows[:, TIME] > at - view.lag - view.longest)]
    yield f"{view.name}: {len(seen):,} rows in the longest window of {view.of} {key}"
    for row in seen[len(seen) - min(most, len(seen)) :][::-1]:
        values = [
            f"{name}={_shown(view, name, int(row[VALUES + place]))}"
            for place, name in enumerate(view.value_columns)
            if int(row[FLAGS]) >> place & 1
        ]
        yield f"    {rfc3339(int(row[TIME]))}  {'  '.join(values)}"


def _rows(view: Windows, held: Held) -> np.ndarray:
    head = read_head(view, held.head)
    parts: list[Rows] = [head.rows] if head.rows is not None else []
    starts = [] if head.leaves is None else head.leaves.starts.tolist()
    parts += [read_chunk(view, held.chunks[start]) for start in starts]
    return np.concatenate([part.matrix for part in parts])


def _shown(view: Windows, name: str, word: int) -> object:
    column = view.column(name)
    if isinstance(column, Decimal):
        return word / 10**column.scale
    return column.categories[word] if isinstance(column, Category) and column.categories else word


def _moment(text: str | None) -> int:
    if text is None:
        return open_clock(settings().places.clock).now()
    typed = times([text])
    if typed.wrong[0]:
        raise UserError(f"{text!r} is no time", where="--at", allowed="RFC 3339, such as 2026-01-31T12:00:00Z")
    found: int = typed.values.cast(pa.int64())[0].as_py()
    return found


def _key(pipeline: Pipeline, name: str, given: Mapping[str, str]) -> Id | None:
    stream = replace(pipeline.events, sources={})
    typed = type_column(stream, name, [given.get(name)])
    if typed.wrong[0]:
        raise UserError(f"{given[name]!r} is no {name}", where="features get", allowed=stream.columns[name].describe())
    found: Id | None = encode_column(typed.values, stream.columns[name])[0].as_py()
    return found
