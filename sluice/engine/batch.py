"""The batch kernel: every window of every request at once, on numpy, from sorted rows and prefix sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.functions import Windowed
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask, integers, invalid
from sluice.engine.finalise import Floats, finalise, places

Column = tuple[Floats, Mask]


def compute(view: Windows, rows: pa.Table, requests: pa.Table) -> dict[str, Column]:
    """Every feature of a view for every request, as (float64 values, validity) in the order of `requests`.

    `rows` comes from `history.rows`; `requests` has `key`, `time`, `id` and, for a view that includes the request,
    its value columns as integers. A request without key reads the empty state; one without id comes after every other.
    """
    everything, asked = _coded(view, rows, requests)
    order = asked.order()
    asked, requests = asked.select(order), requests.take(pa.array(order))
    pending = everything.known > everything.time + view.lag
    history = _Prefixes(view, everything.select(~pending))
    late = everything.select(pending)
    near = _upper(history, asked, view.lag)
    spans: dict[int, _Span] = {}
    result: dict[str, Column] = {}
    for index, feature in enumerate(view.functions):
        window = feature.window or view.longest
        if window not in spans:
            spans[window] = _span(view, asked, history, late, near, window)
        result[feature.name] = _back(order, _value(view, index, spans[window], requests))
    return result


@dataclass(frozen=True)
class _Rows:
    key: Ints
    time: Ints
    tie: Ints
    known: Ints
    weight: Ints
    values: dict[str, tuple[Ints, Mask]]

    def select(self, where: Mask) -> _Rows:
        return self if where.all() else self.take(np.flatnonzero(where))

    def take(self, index: Ints) -> _Rows:
        values = {name: (value[index], valid[index]) for name, (value, valid) in self.values.items()}
        return _Rows(self.key[index], self.time[index], self.tie[index], self.known[index], self.weight[index], values)

    def sorted(self) -> _Rows:
        return self.take(np.lexsort((self.tie, self.time, self.key)))

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True)
class _Requests:
    key: Ints
    time: Ints
    tie: Ints
    open: Mask
    """Requests without an id, which come after every event of their moment."""

    def order(self) -> Ints:
        # sorted requests read the sorted rows front to back: several times faster than at random
        return np.lexsort((self.time, self.key))

    def select(self, order: Ints) -> _Requests:
        return _Requests(self.key[order], self.time[order], self.tie[order], self.open[order])


class _Line:
    """Sorted (key, time) pairs as one sorted word each, to find places in by bisection."""

    def __init__(self, key: Ints, time: Ints) -> None:
        self._low, high = (int(time.min()), int(time.max())) if len(time) else (0, 0)
        self._span = high - self._low + 2
        self._moments: Ints | None = None
        if (int(key.max(initial=0)) + 2) * self._span >= 2**63:
            # too many keys over too long a time for one word: the rank of a time takes its place
            moments = np.sort(time)
            self._moments = moments[np.append(True, np.diff(moments) != 0)]
            self._span = len(self._moments) + 1
        self._words = key * np.int64(self._span) + self._offset(time)

    def before(self, key: Ints, time: Ints) -> Ints:
        """The place after each key's pairs with a time before `time`."""
        word = key * np.int64(self._span) + self._offset(time)
        return np.asarray(np.searchsorted(self._words, word, "left"), np.int64)

    def _offset(self, time: Ints) -> Ints:
        if self._moments is None:
            return np.clip(time - self._low, 0, self._span - 1)
        return np.asarray(np.searchsorted(self._moments, time, "left"), np.int64)


class _Prefixes:
    """Sorted rows with the running sums of everything that windows add up.

    A running sum over all entities may pass 64 bits and wrap; the difference of two does not care, since the sum
    inside each window fits, which the finaliser checks.
    """

    def __init__(self, view: Windows, rows: _Rows) -> None:
        self.rows = rows.sorted()
        self.line = _Line(self.rows.key, self.rows.time)
        self.weight = _running(self.rows.weight)
        self.number = {}
        self.total = {}
        for name in view.value_columns:
            value, valid = self.rows.values[name]
            self.number[name] = _running(np.where(valid, self.rows.weight, 0))
            self.total[name] = _running(value)


@dataclass(frozen=True)
class _Span:
    """The rows of each request's window: a range of the sorted ones, and those that became known too late for that.

    A late-known row counts for a range of the sorted requests: from the moment it is known until it leaves the window.
    """

    requests: _Requests
    history: _Prefixes
    late: _Rows
    first: Ints
    stop: Ints
    begin: Ints
    end: Ints

    def weight(self) -> Ints:
        return self._sum(self.history.weight, self.late.weight)

    def number(self, column: str) -> Ints:
        late = np.where(self.late.values[column][1], self.late.weight, 0)
        return self._sum(self.history.number[column], late)

    def total(self, column: str) -> Ints:
        return self._sum(self.history.total[column], self.late.values[column][0])

    def last(self) -> tuple[Ints, Mask]:
        """The time of the last row, and whether there is one; late-known rows only change what stands there already."""
        seen = self.stop > self.first
        times = self.history.rows.time
        return times[np.where(seen, self.stop - 1, 0)] if len(times) else np.zeros(len(seen), np.int64), seen

    def _sum(self, running: Ints, late: Ints) -> Ints:
        inside = running[self.stop] - running[self.first]
        if len(late) == 0:
            return inside
        steps = np.zeros(len(inside) + 1, np.int64)
        np.add.at(steps, self.begin, late)
        np.subtract.at(steps, self.end, late)
        return inside + np.cumsum(steps[:-1])


def _span(view: Windows, asked: _Requests, history: _Prefixes, late: _Rows, near: Ints, window: int) -> _Span:
    first = history.line.before(asked.key, asked.time - view.lag - window + 1)
    begin = end = np.empty(0, np.int64)
    if len(late):
        line = _Line(asked.key, asked.time)
        begin = line.before(late.key, late.known)
        end = np.maximum(begin, line.before(late.key, late.time + view.lag + window))
    return _Span(asked, history, late, first, np.maximum(near, first), begin, end)


def _value(view: Windows, index: int, span: _Span, requests: pa.Table) -> Column:
    number, total = _sums(view, view.functions[index], span, requests)
    values, valid = finalise(places(view).only(index), number[:, None], total[:, None])
    return values[:, 0], valid[:, 0]


def _sums(view: Windows, feature: Windowed, span: _Span, requests: pa.Table) -> tuple[Ints, Ints]:
    """How many values each request's window holds, and what they add up to."""
    if feature.function == "since_last":
        last, seen = span.last()
        return seen.astype(np.int64), np.where(seen, span.requests.time - last, 0)
    column, here = feature.column, span.requests.key >= 0
    if column is None:
        weight = span.weight() + (here & view.include_request)
        return weight, weight
    if not view.include_request:
        return span.number(column), span.total(column)
    value, valid = integers(requests.column(column))
    return span.number(column) + (here & valid), span.total(column) + np.where(here & valid, value, 0)


def _upper(history: _Prefixes, requests: _Requests, lag: int) -> Ints:
    """End of the rows that a request may see: time at most t - lag, and (time, id) before the request's own."""
    if lag > 0:
        return history.line.before(requests.key, requests.time - lag + 1)
    rows = history.rows
    at = history.line.before(requests.key, requests.time + requests.open)
    tied = np.arange(len(at))
    while len(tied):
        tied = tied[at[tied] < len(rows)]
        here = at[tied]
        same = (rows.key[here] == requests.key[tied]) & (rows.time[here] == requests.time[tied])
        tied = tied[same & (rows.tie[here] < requests.tie[tied])]
        at[tied] += 1
    return at


def _back(order: Ints, column: Column) -> Column:
    values, valid = np.empty_like(column[0]), np.empty_like(column[1])
    values[order], valid[order] = column
    return values, valid


def _running(values: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])


def _coded(view: Windows, rows: pa.Table, requests: pa.Table) -> tuple[_Rows, _Requests]:
    """Rows (those with a key) and requests with keys and ids in common integer codes; a missing key is -1."""
    row_keys, keys = _codes(rows.column("key"), requests.column("key"))
    row_ties, ties = _ordered(rows.column("id"), requests.column("id"), needed=view.lag == 0)
    values = {name: integers(rows.column(name)) for name in view.value_columns}
    time, known, weight = (integers(rows.column(name))[0] for name in ("time", "known", "weight"))
    open_ = invalid(requests.column("id"))
    found = _Rows(row_keys, time, row_ties, known, weight, values).select(row_keys >= 0)
    return found, _Requests(keys, integers(requests.column("time"))[0], ties, open_)


def _codes(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Codes 0… of the keys of both sides, -1 for null."""
    values, valid = integers(_joined(left, right).dictionary_encode().indices)
    codes = np.where(valid, values, -1)
    return codes[: len(left)], codes[len(left) :]


def _ordered(left: pa.ChunkedArray, right: pa.ChunkedArray, *, needed: bool) -> tuple[Ints, Ints]:
    """Integers in the order of the ids: themselves, or the rank of their text as UTF-8 bytes; 0 for null."""
    if not needed:
        return np.zeros(len(left), np.int64), np.zeros(len(right), np.int64)
    if pa.types.is_integer(left.type) and pa.types.is_integer(right.type):
        return integers(left)[0], integers(right)[0]
    texts = _joined(left.cast(pa.string()), right.cast(pa.string())).dictionary_encode()
    ranks = np.empty(len(texts.dictionary), np.int64)
    ranks[pc.array_sort_indices(texts.dictionary).to_numpy()] = np.arange(len(ranks))
    place, valid = integers(texts.indices)
    codes = np.where(valid, ranks[place], 0) if len(ranks) else place
    return codes[: len(left)], codes[len(left) :]


def _joined(left: pa.ChunkedArray, right: pa.ChunkedArray) -> pa.Array:
    chunks = [*left.chunks, *right.chunks]
    return pa.concat_arrays(chunks) if chunks else pa.array([], left.type)
