"""The read path: a request's tiles to its vector, in process, in one atomic read of the store."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.declare.pipeline import Pipeline
from sluice.declare.views import Windows
from sluice.engine.asof import NOTHING, Lookups
from sluice.engine.batch import Column, named_columns, words_of
from sluice.engine.cold import cold_sums, is_plain
from sluice.engine.evaluate import Sums, nears
from sluice.engine.hot import Asked, hot_sums, seen_by, wanted
from sluice.engine.layout import Matrix
from sluice.engine.plan import Plan, plan_of, plans_of
from sluice.engine.requests import Moment, Requests
from sluice.engine.store import NOBODY, ChunkName, Heads, Knowledge, Reading, TileReader
from sluice.engine.tiles import HOT, Id, read_chunk, read_head
from sluice.engine.vectors import Values, complete

Ask = tuple[Windows, Id | None, Moment | None]
"""A view, an entity of it, and the moment for which it is read; None where that is not known yet."""


By = Mapping[str, Sequence[Knowledge]]
"""What the features of each request know, by entity key."""


@dataclass(frozen=True)
class Answer:
    """The vectors of some requests, and what they know."""

    values: Values
    knowledge: Knowledge
    tables: Mapping[str, int] = field(default_factory=dict)
    """The version of each as-of table that was looked up."""
    by: By = field(default_factory=dict)
    """What each knows by entity key, where shards were read; else all know the same."""

    def known(self, place: int = 0) -> dict[str, object]:
        """K of one of the vectors as it is logged.

        What was read of the store, and `{"tables": {"holidays": 3}}` where tables were. Of a store in shards,
        `{"keys": {"customer_id": {"base": 12, "positions": …}, …}}`; a key of which nothing is known is left out.
        """
        return self._of_store(place) | ({"tables": dict(self.tables)} if self.tables else {})

    def _of_store(self, place: int) -> dict[str, object]:
        if not self.by:
            return self.knowledge.describe()
        each = {key: known[place] for key, known in self.by.items()}
        return {"keys": {key: known.describe() for key, known in each.items() if known != NOBODY}}


class Held(NamedTuple):
    """What a store holds of one entity, as far as a request needs it."""

    head: bytes | None
    chunks: Mapping[int, bytes]


class Windowed(NamedTuple):
    """The features of all windowed views: 8-byte words, one row for each request, and which of them are valid."""

    words: Matrix
    valid: NDArray[np.bool_]
    knowledge: Knowledge
    by: By


def answer(pipeline: Pipeline, store: TileReader, requests: pa.Table, lookups: Lookups = NOTHING) -> Answer:
    """The vectors of encoded requests from the store's tiles and the as-of tables."""
    found = windowed(pipeline, store, Requests.of_table(requests, pipeline.keys))
    columns: dict[str, Column] = {}
    first = 0
    for view in pipeline.windows:
        part = slice(first, first + len(view.functions))
        named = named_columns(view, found.words[:, part], found.valid[:, part])
        columns |= {f"{view.name}__{name}": column for name, column in named.items()}
        first = part.stop
    return Answer(complete(pipeline, requests, columns, lookups), found.knowledge, lookups.versions, found.by)


def windowed(pipeline: Pipeline, store: TileReader, requests: Requests) -> Windowed:
    """The windowed features of requests, in one atomic read."""
    views, count = pipeline.windows, len(requests)
    names = [(view.name, key) for view in views for key in requests.keys[view.of]]

    def ask(place: int) -> Ask:
        view = views[place // count]
        return view, requests.keys[view.of][place % count], requests.moments[place % count]

    reading = store.read(names, functools.partial(_call, ask))
    chunks = _by_entity(reading)
    sums = Sums.empty(count, *views)
    for place, (view, plan) in enumerate(zip(views, plans_of(views), strict=True)):
        first = place * count
        heads = reading.heads[first : first + count]
        fill(view, plan, heads, functools.partial(_chunks, chunks, names, first), requests, sums)
    return Windowed(*words_of(views, sums), reading.knowledge, _by_key(views, reading.each, count))


def read_tiles(store: TileReader, asks: Sequence[Ask]) -> tuple[list[Held], Knowledge]:
    """What the requests of some entities need, in one atomic read; all of an entity for a moment not known yet."""
    names = [(view.name, key) for view, key, _ in asks]
    reading = store.read(names, functools.partial(_call, asks.__getitem__))
    chunks = _by_entity(reading)
    held = [Held(head, chunks.get(name, {})) for name, head in zip(names, reading.heads, strict=True)]
    return held, reading.knowledge


def read_view(view: Windows, store: TileReader, keys: Sequence[Id | None], at: int) -> dict[str, Column]:
    """A view's values of some entities at a moment, without a request of their own (a plain Feast read)."""
    moment = Moment(at, None)
    held, _ = read_tiles(store, [(view, key, moment) for key in keys])
    return view_values(view, held, [moment] * len(keys), None)


def view_values(
    view: Windows, held: Sequence[Held], moments: Sequence[Moment], requests: pa.Table | None
) -> dict[str, Column]:
    """A view's values from what is held of each request's entity; without requests, none is included."""
    if requests is None:
        keys: Mapping[str, list[Id | None]] = {view.of: [None] * len(moments)}
        asked = Requests.of(moments, keys, _nothing)
    else:
        asked = Requests.of_table(requests, [view.of] if view.include_request else [])
    sums = Sums.empty(len(asked), view)
    fill(view, plan_of(view), [one.head for one in held], lambda at: held[at].chunks, asked, sums)
    words, valid = words_of((view,), sums)
    return named_columns(view, words, valid if requests is not None else valid & plan_of(view).blind)


def _by_key(views: Sequence[Windows], each: Sequence[Knowledge], count: int) -> By:
    """What each request's views know, from what each head does; the views of one entity know the same."""
    return {view.of: each[place * count : (place + 1) * count] for place, view in enumerate(views)} if each else {}


def _nothing(_: str) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros(1, np.int64), np.zeros(1, bool)


def _call(ask: Callable[[int], Ask], heads: Heads) -> list[ChunkName]:
    """The chunks that heads call for; what is asked of each is told by its place."""
    found: list[ChunkName] = []
    for place, head in enumerate(heads):
        if head is not None and head[0] == HOT:
            view, key, moment = ask(place)
            found += [(view.name, key, start) for start in _starts(view, head, moment) if key is not None]
    return found


def _chunks(
    chunks: Mapping[tuple[str, Id | None], dict[int, bytes]],
    names: Sequence[tuple[str, Id | None]],
    first: int,
    place: int,
) -> dict[int, bytes]:
    return chunks.get(names[first + place], {})


def _by_entity(reading: Reading) -> dict[tuple[str, Id | None], dict[int, bytes]]:
    found: dict[tuple[str, Id | None], dict[int, bytes]] = {}
    for (name, key, start), body in reading.chunks.items():
        found.setdefault((name, key), {})[start] = body
    return found


def fill(
    view: Windows,
    plan: Plan,
    heads: Heads,
    chunks: Callable[[int], Mapping[int, bytes]],
    requests: Requests,
    sums: Sums,
) -> None:
    """The sums of every request: of those whose rows lie in one stretch at once, of the others one by one."""
    own = requests.own(view)
    others = [place for place, head in enumerate(heads) if not is_plain(head)]
    plain = heads if not others else [head if is_plain(head) else None for head in heads]
    cold_sums(view, plan, plain, requests, own, sums)
    for place in others:
        mine = own[place : place + 1] if len(own) else own
        found = _hot_sums(view, Held(heads[place], chunks(place)), requests.moments[place], mine)
        _put(plan, place, sums, found)


def _put(plan: Plan, place: int, sums: Sums, found: Sums) -> None:
    features = slice(plan.first, plan.first + found.number.shape[1])
    roots = slice(plan.root, plan.root + found.high.shape[1])
    sums.number[place, features], sums.total[place, features] = found.number[0], found.total[0]
    sums.high[place, roots], sums.low[place, roots] = found.high[0], found.low[0]


def _starts(view: Windows, head: bytes, moment: Moment | None) -> list[int]:
    index = read_head(view, head).leaves
    if index is None:
        return []
    if moment is None:
        return list(index.starts.tolist())
    return list(index.starts[wanted(view, index, moment.time, _near(view, moment))].tolist())


def _near(view: Windows, moment: Moment) -> int:
    return int(nears(view, np.array([moment.time], np.int64))[0])


def _hot_sums(view: Windows, held: Held, moment: Moment, own: Matrix) -> Sums:
    head, near = read_head(view, held.head), _near(view, moment)
    asked = Asked(moment.time, near, own)
    if head.leaves is None:
        rows = [] if head.rows is None else [seen_by(view, head.rows, moment)]
        return hot_sums(view, head, np.zeros(0, bool), rows, asked)
    opened = wanted(view, head.leaves, moment.time, near)
    chunks = [held.chunks[start] for start in head.leaves.starts[opened].tolist()]
    return hot_sums(view, head, opened, [seen_by(view, read_chunk(view, chunk), moment) for chunk in chunks], asked)
