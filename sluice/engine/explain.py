"""What each feature of a pipeline means, what is kept for it, how exact it is, and what a request pays for it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from sluice.declare.functions import Windowed, window_text
from sluice.declare.pipeline import Pipeline
from sluice.declare.request import RequestFeature
from sluice.declare.streams import Label
from sluice.declare.views import Windows
from sluice.engine import moment
from sluice.engine.evaluate import Sums
from sluice.engine.facts import column_type
from sluice.engine.finalise import finalise, places
from sluice.engine.forget import cut_of, shortened
from sluice.engine.layout import FLAGS, ID, TIME, VALUES
from sluice.engine.plan import LOOP_OF, plan_of
from sluice.engine.read import Held, fill, read_tiles
from sluice.engine.requests import Moment, Requests
from sluice.engine.store import Change, MemoryStore
from sluice.engine.tiles import Rows, read_head

_NOW = 2**50
_KEY, _ASKED = 1, Moment(_NOW, None)
_ROUNDS = 5
_WORD = 8
_SAID = {
    "count": "how many events",
    "sum": "sum of {column}",
    "mean": "mean of {column}",
    "share": "share with {column}",
    "min": "least {column}",
    "max": "greatest {column}",
    "std": "standard deviation of {column}",
    "percentile": "{p} of the values of {column} are at most this",
    "distinct": "how many different values of {column}",
    "first": "{column} of the first event",
    "last": "{column} of the last event",
    "top": "commonest {column}",
    "top_share": "share of the commonest {column}",
    "decayed_count": "events, halved every {half}",
    "decayed_sum": "sum of {column}, halved every {half}",
    "decayed_mean": "mean of {column}, weights halved every {half}",
    "since_last": "seconds since the last event",
    "since_first": "seconds since the first event",
}


@dataclass(frozen=True)
class Explained:
    """One feature, told in words and numbers."""

    name: str
    meaning: str
    window: str
    error: str
    row_bytes: int
    """Bytes of one event in its view, shared by the view's features; 0 for what is computed from the request."""
    state_bytes: int
    """Bytes of its state in one leaf of an entity with many events, at most."""
    tiles: str
    """What a request reads of an entity with so many events: its head, and some of its leaves if it has any."""
    microseconds: float | None
    """What it alone costs a request of that entity beside the read of the store, measured now on this machine.

    None for a lookup, whose cost depends on its table.
    """


def explain(pipeline: Pipeline, events: int = 100, calls: int = 200) -> Iterator[Explained]:
    """Every feature of a vector in its order, with its cost for so many events in its window, measured on calls."""
    for view in pipeline.windows:
        for feature in view.functions:
            yield _windowed(view, feature, events, calls)
    for looked_up in pipeline.lookups:
        for name in looked_up.features:
            kept = "1 row of the table"
            said = f"{name} of table {looked_up.table} as of the request"
            yield Explained(f"{looked_up.name}__{name}", said, "-", "exact", 0, 0, kept, None)
    for request in pipeline.requests:
        for asked in request.features:
            spent = request_cost(pipeline, asked, calls)
            yield Explained(f"{request.name}__{asked.name}", _asked(asked), "-", "exact", 0, 0, "nothing", spent)


def _windowed(view: Windows, feature: Windowed, events: int, calls: int) -> Explained:
    alone, held = _made_up(view, feature, events)
    return Explained(
        f"{view.name}__{feature.name}",
        meaning(view, feature),
        window_text(view.window(feature)),
        error(feature),
        plan_of(view).width * _WORD,
        state_bytes(view, feature),
        _tiles(alone, held),
        _cost(alone, held, calls),
    )


def meaning(view: Windows, feature: Windowed) -> str:
    """One clause: what is computed over which events."""
    over, under, *_ = (*feature.parameters, 0, 0)
    half = window_text(feature.parameters[0]) if feature.function.startswith("decayed") else ""
    share = f"{over / under:.4g}" if feature.function == "percentile" else ""
    said = _SAID[feature.function].format(column=feature.column, p=share, half=half)
    over_what = f"labels {view.over.name}" if isinstance(view.over, Label) else view.stream.name
    parts = [f"{said}: {over_what} of the {view.of}"]
    if feature.where is not None:
        parts.append(f"where {feature.where}")
    if view.slot is not None:
        ago = f", {window_text(view.lag)} before" if view.lag else ""
        parts.append(f"in whole slots of {window_text(int(view.slot))} up to the last that had ended{ago}")
    elif view.lag:
        parts.append(f"up to {window_text(view.lag)} before")
    if view.include_request and feature.counts_request:
        parts.append("this one included")
    return ", ".join(parts)


def error(feature: Windowed) -> str:
    """How far a value may be from the exact one."""
    if feature.function == "percentile":
        bits, exact = feature.parameters[2:]
        return f"exact up to {exact} values, then within {100 / 2 ** (bits + 1):.2g} %"
    if feature.function == "distinct":
        most = feature.parameters[0]
        spread = 100 / math.sqrt(most - 2) if most > 2 else 100
        return f"exact up to {most}, then about ±{spread:.3g} %"
    if feature.function in {"top", "top_share"}:
        return f"exact up to {feature.parameters[0]} kinds, then null"
    decays = feature.function.startswith("decayed")
    return "weights within 0.02 %, each half-life cut to 2^-16" if decays else "exact"


def state_bytes(view: Windows, feature: Windowed) -> int:
    """The most bytes that a leaf's state has for a feature."""
    words = 2 + 2 * (feature.function == "std")
    if feature.function == "percentile":
        bits, exact = feature.parameters[2:]
        words += 3 + 2 * min(view.leaf * 64, max(exact, 2 * (64 - bits) << bits))
    if LOOP_OF[feature.function] == "kinds":
        words += 3 + 2 * (feature.parameters[0] + 1)
    if feature.function.startswith("decayed"):
        words += 3 + 4 * 64
    return words * _WORD


def cost(view: Windows, feature: Windowed, events: int, calls: int) -> float:
    """Microseconds that a feature alone takes for one request of an entity with so many events in its window."""
    return _cost(*_made_up(view, feature, events), calls)


def _made_up(view: Windows, feature: Windowed, events: int) -> tuple[Windows, Held]:
    """A view of a feature alone, and what a request reads of an entity that has so many events in its window."""
    alone = replace(view, features=[(replace(feature, window=view.window(feature)),)], include_request=False)
    rows, store = _entity(alone, min(view.window(feature), 2**49), events), MemoryStore()
    laid = shortened(alone, rows, cut_of(view, _NOW))
    chunks = [(alone.name, _KEY, start, body) for start, body in laid.chunks.items()]
    store.apply(Change(heads=[(alone.name, _KEY, laid.head)], chunks=chunks))
    (held,), _ = read_tiles(store, [(alone, _KEY, _ASKED)])
    return alone, held


def _tiles(view: Windows, held: Held) -> str:
    index = read_head(view, held.head).leaves
    return "1 head" if index is None else f"1 head, {len(held.chunks)} of {len(index.starts)} leaves"


def _cost(view: Windows, held: Held, calls: int) -> float:
    asked = Requests.of([_ASKED], {view.of: [_KEY]}, lambda _: (np.zeros(1, np.int64), np.zeros(1, bool)))
    plan, rule = plan_of(view), places(view)

    def once() -> None:
        sums = Sums.empty(1, view)
        fill(view, plan, [held.head], lambda _: held.chunks, asked, sums)
        finalise(rule, sums)

    return _microseconds(once, calls)


def request_cost(pipeline: Pipeline, feature: RequestFeature, calls: int = 200) -> float:
    """Microseconds that a feature of the request alone takes, when the features that it is made of are there."""
    columns = {name: [1] for name, column in pipeline.events.columns.items() if column_type(column) == pa.int64()}
    request = pa.table({"_time": [_NOW], **columns})
    known = {place.name: (np.ones(1), np.ones(1, bool)) for place in pipeline.features}
    # each time anew, because a moment remembers the columns that it has read
    return _microseconds(lambda: moment.Moment(pipeline, request, known).compute(feature), calls)


def _microseconds(call: Callable[[], object], calls: int) -> float:
    call()
    return min(_timed(call, calls) for _ in range(_ROUNDS)) * 1e6


def _timed(call: Callable[[], object], calls: int) -> float:
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begun) / calls


def _entity(view: Windows, window: int, events: int) -> Rows:
    """Rows spread over a window that ends now, with values that differ."""
    plan = plan_of(view)
    matrix = np.zeros((events, plan.width), np.int64)
    matrix[:, TIME] = _NOW - view.lag - 1 - window + 2 + np.arange(events) * ((window - 2) // max(events, 1))
    matrix[:, ID], matrix[:, FLAGS] = np.arange(events), -1
    for place in range(VALUES, VALUES + len(view.value_columns)):
        matrix[:, place] = (np.arange(events) * 7919) % 97
    if plan.weight >= 0:
        matrix[:, plan.weight], matrix[:, plan.known] = 1, np.iinfo(np.int64).min
    return Rows(matrix, [f"{number:09}" for number in range(events)] if plan.texts else None)


def _asked(feature: RequestFeature) -> str:
    operands = ", ".join(item if isinstance(item, str) else item.name for item in feature.operands)
    return f"{feature.function.replace('_', ' ')} of {operands or 'the request'}"
