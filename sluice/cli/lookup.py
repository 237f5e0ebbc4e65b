"""An entity's features from the online store, and the events behind them, as lines to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from serve.requests import Batch, RequestReader
from sluice.clock import HandClock, open_clock, rfc3339
from sluice.declare.columns import Category, Decimal
from sluice.declare.functions import LIFETIME, window_text
from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.asof import NOTHING
from sluice.engine.encode import encode_column
from sluice.engine.evaluate import nears
from sluice.engine.hot import seen_by
from sluice.engine.layout import FLAGS, TIME, VALUES, Matrix
from sluice.engine.read import Held, answer, read_tiles, view_values
from sluice.engine.requests import Moment
from sluice.engine.shards import open_online
from sluice.engine.store import TileReader
from sluice.engine.tiles import Head, Id, Rows, read_chunk, read_head
from sluice.errors import UserError
from sluice.lake.asof import load, newest
from sluice.lake.tables import Lake
from sluice.lake.typing import instant, type_column
from sluice.settings import settings

_WHERE = "features get"


@dataclass(frozen=True)
class _Asked:
    """What was asked for, after the contract has judged it."""

    given: Mapping[str, str]
    moment: Moment
    request: pa.Table | None
    """The encoded request; None without one."""
    missing: tuple[str, ...]
    """The columns that would make it a request."""


def look_up(pipeline: Pipeline, given: Mapping[str, str], at: str | None, most: int) -> list[str]:
    """The vector's values, or those that need no request, then the newest events of each view.

    UserError for what the scoring service would refuse: a column, a value, a time.
    """
    asked = _judged(pipeline, given, at)
    keys = [_key(pipeline, view.of, given) for view in pipeline.windows]
    with closing(open_online(settings().online_uri, pipeline.name)) as store:
        held, _ = read_tiles(store, [(view, key, None) for view, key in zip(pipeline.windows, keys, strict=True)])
        lines = list(_views(pipeline, asked, held) if asked.request is None else _vector(pipeline, asked, store))
    for view, key, tiles in zip(pipeline.windows, keys, held, strict=True):
        lines += _behind(view, key, tiles, asked.moment, most)
    return lines


def _judged(pipeline: Pipeline, given: Mapping[str, str], at: str | None) -> _Asked:
    """The request as the scoring service reads it; one that lacks columns is none, and what there is must be good."""
    stream = pipeline.events
    for name in given:
        if name not in stream.all_columns:
            raise UserError.unknown("column", name, stream.all_columns, where=_WHERE)
    if at is not None and stream.time in given:
        raise UserError("the moment is given twice", where=_WHERE, allowed=f"--at or {stream.time}=")
    now = open_clock(settings().places.clock).now() if at is None else instant(at, "--at")
    found = RequestReader(pipeline, HandClock(now)).read(orjson.dumps({"events": [given]}))
    if isinstance(found, Batch):
        time, identity = (found.encoded.column(name)[0].as_py() for name in ("_time", "_id"))
        return _Asked(given, Moment(time, identity), found.encoded, ())
    lacking = [problem for problem in found.problems if problem.rule == "missing" and problem.field not in given]
    bad = [problem for problem in found.problems if problem not in lacking]
    if bad:
        told = (f"\n    {one.field}={one.value}: {one.rule}, allowed: {one.allowed}" for one in bad)
        raise UserError(f"the contract refuses the request:{''.join(told)}", where=_WHERE)
    time = instant(given[stream.time], stream.time) if stream.time in given else now
    return _Asked(given, Moment(time, None), None, tuple(problem.field for problem in lacking))


def _vector(pipeline: Pipeline, asked: _Asked, store: TileReader) -> Iterator[str]:
    lake = Lake(settings().places.lake_uri, pipeline.name)
    lookups = load(lake, pipeline, newest(lake, pipeline)) if pipeline.lookups else NOTHING
    found = answer(pipeline, store, asked.request, lookups)
    yield f"vector of a request at {rfc3339(asked.moment.time)}, knowing {found.known()}"
    for place in pipeline.features:
        yield _line(place.name, *found.values[place.name])


def _views(pipeline: Pipeline, asked: _Asked, held: list[Held]) -> Iterator[str]:
    lacking = ", ".join(asked.missing)
    yield f"values at {rfc3339(asked.moment.time)}, without a request, which needs {lacking}: what needs one is null"
    for view, tiles in zip(pipeline.windows, held, strict=True):
        for name, column in view_values(view, [tiles], [asked.moment], None).items():
            yield _line(f"{view.name}__{name}", *column)


def _line(name: str, values: Any, valid: Any) -> str:
    return f"  {name:<48} {values[0].item() if valid[0] else 'null'}"


def _behind(view: Windows, key: Id | None, held: Held, moment: Moment, most: int) -> Iterator[str]:
    """The newest rows of the longest window, between the same edges as the values."""
    head = read_head(view, held.head)
    longest = max(view.window(feature) for feature in view.functions)
    near = int(nears(view, np.array([moment.time], np.int64))[0])
    rows = np.concatenate([seen_by(view, part, moment) for part in _parts(view, head, held)])
    seen = rows[(rows[:, TIME] <= near) & (rows[:, TIME] > near - longest)]
    forgotten = ", and the state of those forgotten" if longest == LIFETIME and len(head.base) else ""
    yield (
        f"{view.name}: {len(seen):,} rows in the longest window, {window_text(longest)}, "
        f"of {view.of} {'null' if key is None else key}{forgotten}"
    )
    for row in seen[len(seen) - min(most, len(seen)) :][::-1]:
        yield f"    {rfc3339(int(row[TIME]))}  {'  '.join(_told(view, row))}"


def _told(view: Windows, row: Matrix) -> Iterator[str]:
    for place, name in enumerate(view.value_columns):
        if int(row[FLAGS]) >> place & 1:
            yield f"{name}={_shown(view, name, int(row[VALUES + place]))}"


def _parts(view: Windows, head: Head, held: Held) -> list[Rows]:
    if head.leaves is None:
        return [head.rows] if head.rows is not None else []
    return [read_chunk(view, held.chunks[start]) for start in head.leaves.starts.tolist()]


def _shown(view: Windows, name: str, word: int) -> object:
    column = view.column(name)
    if isinstance(column, Decimal):
        return word / 10**column.scale
    return column.categories[word] if isinstance(column, Category) and column.categories else word


def _key(pipeline: Pipeline, name: str, given: Mapping[str, str]) -> Id | None:
    """An entity's key as it is stored, from a request that was judged."""
    stream = replace(pipeline.events, sources={})
    typed = type_column(stream, name, [given.get(name)])
    found: Id | None = encode_column(typed.values, stream.columns[name])[0].as_py()
    return found
