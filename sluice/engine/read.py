"""The read path: a request's tiles and rows to its vector, in process, in one atomic read of the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.batch import Column, finalise
from sluice.engine.encode import Ints, integers
from sluice.engine.finalise import elapsed
from sluice.engine.store import Knowledge, TileStore, Wanted
from sluice.engine.tiles import KNOWN, LAST, VALUES, WEIGHT, Id, Matrix, Tile, empty_state, rows_in, state_of, width
from sluice.engine.vectors import Values, complete


@dataclass(frozen=True)
class Answer:
    """The vectors of some requests, and what they know."""

    values: Values
    knowledge: Knowledge


@dataclass(frozen=True)
class Moment:
    """When a request happens: its event time and id; an id of None comes after every other."""

    time: int
    id: Id | None


def answer(pipeline: Pipeline, store: TileStore, requests: pa.Table) -> Answer:
    """The vectors of encoded requests from the store's tiles."""
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
    windowed: dict[str, Column] = {}
    for index, view in enumerate(pipeline.windows):
        tiles = reading.tiles[index * len(moments) : (index + 1) * len(moments)]
        found = view_values(view, tiles, moments, requests)
        windowed |= {f"{view.name}__{name}": column for name, column in found.items()}
    return Answer(complete(pipeline, requests, windowed), reading.knowledge)


def read_view(view: Windows, store: TileStore, keys: Sequence[Id | None], at: int) -> dict[str, Column]:
    """A view's values of some entities at a moment, without a request of their own (a plain Feast read)."""
    moments = [Moment(at, None)] * len(keys)
    reading = store.read([_wanted(view, key, moment) for key, moment in zip(keys, moments, strict=True)])
    return view_values(view, reading.tiles, moments, None)


def view_values(
    view: Windows, tiles: Sequence[list[Tile]], moments: Sequence[Moment], requests: pa.Table | None
) -> dict[str, Column]:
    """A view's values from the tiles of each request's entity; without requests, none is included."""
    slots = [_Slots(view, found, moment) for found, moment in zip(tiles, moments, strict=True)]
    windows = {feature.window or view.longest for feature in view.functions}
    states = {window: np.concatenate([item.window(window) for item in slots]) for window in windows}
    if requests is not None and view.include_request:
        states = {window: _included(view, matrix, requests) for window, matrix in states.items()}
    times = np.array([moment.time for moment in moments], np.int64)
    result = {}
    for feature in view.functions:
        state = states[feature.window or view.longest]
        if feature.function == "since_last":
            last = np.concatenate([item.window(view.longest) for item in slots])[:, LAST]
            result[feature.name] = elapsed(times, last, last != np.iinfo(np.int64).min)
            continue
        number, total = _sums(view, state, feature.column)
        values, valid = finalise(view, feature, state[:, WEIGHT], number, total)
        blind = view.include_request and requests is None
        result[feature.name] = (values, np.zeros(len(valid), bool)) if blind else (values, valid)
    return result


class _Slots:
    """The tiles of one entity as matrices, ready for any window that ends at one moment."""

    def __init__(self, view: Windows, tiles: list[Tile], moment: Moment) -> None:
        self._view, self._tiles, self._moment = view, tiles, moment
        self._near = moment.time - view.lag
        self._slots = np.array([tile.slot for tile in tiles], np.int64)
        states = np.frombuffer(b"".join(tile.state for tile in tiles), np.int64)
        self._states = states.reshape(len(tiles), width(view))
        self._whole = (self._states[:, KNOWN] <= moment.time) & (self._slots < self._near // view.slot)
        self._opened: dict[int, Matrix] = {}

    def window(self, window: int) -> Matrix:
        """The merged state of the window of this length."""
        far = self._near - window
        inside = self._slots >= far // self._view.slot
        whole = self._whole & (self._slots > far // self._view.slot)
        parts = [self._states[whole]]
        for index in np.flatnonzero(inside & ~whole):
            rows = self._visible(int(index))
            parts.append(rows[rows[:, LAST] > far])
        return state_of(np.concatenate(parts)) if parts else empty_state(width(self._view))

    def _visible(self, index: int) -> Matrix:
        """The rows of a slot that the moment may see."""
        if index not in self._opened:
            rows = rows_in(self._view, self._tiles[index])
            matrix = rows.matrix
            seen = (matrix[:, LAST] <= self._near) & (matrix[:, KNOWN] <= self._moment.time)
            if self._view.lag == 0:
                for tied in np.flatnonzero(matrix[:, LAST] == self._moment.time):
                    seen[tied] &= _before(rows.ids[tied], self._moment.id)
            self._opened[index] = matrix[seen]
        return self._opened[index]


def _before(identity: Id, request: Id | None) -> bool:
    if request is None:
        return True
    if isinstance(identity, str) or isinstance(request, str):
        return str(identity).encode() < str(request).encode()
    return identity < request


def _wanted(view: Windows, key: Id | None, moment: Moment) -> Wanted:
    near = moment.time - view.lag
    return Wanted(view.name, key, (near - view.longest) // view.slot, near // view.slot)


def _sums(view: Windows, state: Matrix, column: str | None) -> tuple[Ints, Ints]:
    if column is None:
        return state[:, WEIGHT], state[:, WEIGHT]
    place = VALUES + 2 * view.value_columns.index(column)
    return state[:, place], state[:, place + 1]


def _included(view: Windows, states: Matrix, requests: pa.Table) -> Matrix:
    """States with the request's own event counted in, where the request has the entity's key."""
    here = ~np.asarray(requests.column(view.of).combine_chunks().is_null().to_numpy(zero_copy_only=False), bool)
    merged = states.copy()
    merged[:, WEIGHT] += here
    for index, name in enumerate(view.value_columns):
        value, valid = integers(requests.column(name))
        merged[:, VALUES + 2 * index] += here & valid
        merged[:, VALUES + 2 * index + 1] += np.where(here & valid, value, 0)
    return merged
