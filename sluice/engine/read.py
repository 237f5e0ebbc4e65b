"""The read path: a request's tiles and rows to its vector, in process, in one atomic read of the store."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.batch import Column
from sluice.engine.encode import Ints, Mask, integers, invalid
from sluice.engine.finalise import finalise, places
from sluice.engine.store import Knowledge, TileStore, Wanted
from sluice.engine.tiles import KNOWN, LAST, VALUES, WEIGHT, Id, Matrix, Tile, rows_in, width
from sluice.engine.vectors import Values, complete

_NEVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class Answer:
    """The vectors of some requests, and what they know."""

    values: Values
    knowledge: Knowledge
    tables: Mapping[str, int] = field(default_factory=dict)
    """The version of each as-of table that was looked up."""

    def known(self) -> dict[str, object]:
        """K as it is logged: what was read of the store, and `{"tables": {"holidays": 3}}` where tables were."""
        return self.knowledge.describe() | ({"tables": dict(self.tables)} if self.tables else {})


@dataclass(frozen=True)
class Moment:
    """When a request happens: its event time and id; an id of None comes after every other."""

    time: int
    id: Id | None


def answer(pipeline: Pipeline, store: TileStore, requests: pa.Table, lookups: Lookups = NOTHING) -> Answer:
    """The vectors of encoded requests from the store's tiles and the as-of tables."""
    moments = [
        Moment(time, id_)
        for time, id_ in zip(requests.column("_time").to_pylist(), requests.column("_id").to_pylist(), strict=True)
    ]
    wanted = [
        _wanted(view, key, moment)
        for view in pipeline.windows
        for key, moment in zip(requests.column(view.of).to_pylist(), moments, strict=True)
    ]
    reading = store.read(wanted)
    sums = [
        _sums(view, reading.tiles[index * len(moments) : (index + 1) * len(moments)], moments, requests)
        for index, view in enumerate(pipeline.windows)
    ]
    number, total = (np.concatenate(parts, axis=1) for parts in zip(*sums, strict=True))
    values, valid = finalise(places(*pipeline.windows), number, total)
    names = [place.name for place in pipeline.features[: values.shape[1]]]
    windowed = {name: (values[:, index], valid[:, index]) for index, name in enumerate(names)}
    return Answer(complete(pipeline, requests, windowed, lookups), reading.knowledge, lookups.versions)


def read_view(view: Windows, store: TileStore, keys: Sequence[Id | None], at: int) -> dict[str, Column]:
    """A view's values of some entities at a moment, without a request of their own (a plain Feast read)."""
    moments = [Moment(at, None)] * len(keys)
    reading = store.read([_wanted(view, key, moment) for key, moment in zip(keys, moments, strict=True)])
    return view_values(view, reading.tiles, moments, None)


def view_values(
    view: Windows, tiles: Sequence[list[Tile]], moments: Sequence[Moment], requests: pa.Table | None
) -> dict[str, Column]:
    """A view's values from the tiles of each request's entity; without requests, none is included."""
    values, valid = finalise(places(view), *_sums(view, tiles, moments, requests))
    if view.include_request and requests is None:
        valid = valid & _plan(view).blind
    return {feature.name: (values[:, index], valid[:, index]) for index, feature in enumerate(view.functions)}


def _sums(
    view: Windows, tiles: Sequence[list[Tile]], moments: Sequence[Moment], requests: pa.Table | None
) -> tuple[Matrix, Matrix]:
    """How many values each feature's window holds and what they add up to; without requests, none is included."""
    plan = _plan(view)
    merged = [_window_states(view, found, moment) for found, moment in zip(tiles, moments, strict=True)]
    states = np.array(merged, np.int64).reshape(len(moments), len(plan.windows), width(view))
    last = states[:, :, LAST].copy()
    if view.include_request and requests is not None:
        states += _own(view, requests)[:, None, :]
    number, total = states[:, plan.window, plan.number], states[:, plan.window, plan.total]
    times = np.array([moment.time for moment in moments], np.int64)
    for index in plan.since:
        seen = last[:, plan.window[index]]
        number[:, index] = seen != _NEVER
        total[:, index] = np.where(seen != _NEVER, times - seen, 0)
    return number, total


@dataclass(frozen=True)
class _Plan:
    """Where a view's features find their sums in the states of its windows, with one entry for each feature."""

    windows: Ints
    """The different windows in microseconds, as a column."""
    window: Ints
    number: Ints
    total: Ints
    since: list[int]
    """The features that ask for the last event's time."""
    blind: Mask
    """The features that mean the same without a request of their own."""


@functools.cache
def _plan(view: Windows) -> _Plan:
    features = view.functions
    windows = sorted({feature.window or view.longest for feature in features})
    since = [index for index, feature in enumerate(features) if feature.function == "since_last"]
    numbers = [
        VALUES + 2 * view.value_columns.index(feature.column) if feature.column else WEIGHT for feature in features
    ]
    return _Plan(
        np.array(windows, np.int64)[:, None],
        np.array([windows.index(feature.window or view.longest) for feature in features], np.int64),
        np.array(numbers, np.int64),
        np.array(
            [place + 1 if feature.column else place for feature, place in zip(features, numbers, strict=True)], np.int64
        ),
        since,
        np.isin(np.arange(len(features)), since),
    )


def _window_states(view: Windows, tiles: list[Tile], moment: Moment) -> Matrix:
    """The merged state of every window of `_plan` that ends at a moment, one row for each."""
    near = moment.time - view.lag
    far = near - _plan(view).windows
    slots = np.array([tile.slot for tile in tiles], np.int64)
    states = np.frombuffer(b"".join([tile.state for tile in tiles]), np.int64).reshape(len(tiles), width(view))
    first = far // view.slot
    whole = (slots > first) & ((slots < near // view.slot) & (states[:, KNOWN] <= moment.time))
    ragged = np.flatnonzero(((slots >= first) & ~whole).any(axis=0))
    if len(ragged):
        parts = [_visible(view, tiles[index], near, moment) for index in ragged.tolist()]
        rows = np.concatenate(parts)
        of = np.repeat(ragged, [len(part) for part in parts])
        states = np.concatenate([states, rows])
        whole = np.concatenate([whole, (rows[:, LAST] > far) & ~whole[:, of]], axis=1)
    merged: Matrix = whole.astype(np.int64) @ states
    merged[:, LAST] = np.where(whole, states[:, LAST], _NEVER).max(axis=1, initial=_NEVER)
    return merged


def _visible(view: Windows, stored: Tile, near: int, moment: Moment) -> Matrix:
    """The rows of a slot that the moment may see."""
    rows = rows_in(view, stored)
    matrix = rows.matrix
    seen = (matrix[:, LAST] <= near) & (matrix[:, KNOWN] <= moment.time)
    if view.lag == 0 and len(matrix) and matrix[-1, LAST] >= moment.time:
        for tied in np.flatnonzero(matrix[:, LAST] == moment.time).tolist():
            seen[tied] &= _before(rows.ids[tied], moment.id)
    return matrix[seen]


def _before(identity: Id, request: Id | None) -> bool:
    if request is None:
        return True
    if isinstance(identity, str) or isinstance(request, str):
        return str(identity).encode() < str(request).encode()
    return identity < request


def _wanted(view: Windows, key: Id | None, moment: Moment) -> Wanted:
    near = moment.time - view.lag
    return Wanted(view.name, key, (near - view.longest) // view.slot, near // view.slot)


def _own(view: Windows, requests: pa.Table) -> Matrix:
    """The state of each request's own event; an empty one where the request has no key."""
    here = ~invalid(requests.column(view.of))
    own = np.zeros((len(here), width(view)), np.int64)
    own[:, WEIGHT] = here
    for index, name in enumerate(view.value_columns):
        value, valid = integers(requests.column(name))
        own[:, VALUES + 2 * index] = here & valid
        own[:, VALUES + 2 * index + 1] = np.where(here & valid, value, 0)
    return own
