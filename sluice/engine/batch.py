"""The batch kernel: every window of every request at once, on numpy, from sorted rows and prefix sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from sluice.declare.columns import Decimal
from sluice.declare.functions import Windowed
from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask, integers
from sluice.engine.finalise import Floats, averaged, counted, elapsed, summed
from sluice.errors import DataError

Column = tuple[Floats, Mask]


def unit(view: Windows, column: str) -> int:
    """How many integer steps make one unit of a column: 100 for two decimals."""
    declared = view.column(column)
    return 10**declared.scale if isinstance(declared, Decimal) else 1


def compute(view: Windows, rows: pa.Table, requests: pa.Table) -> dict[str, Column]:
    """Every feature of a view for every request, as (float64 values, validity) in the order of `requests`.

    `rows` comes from `history.rows`; `requests` has `key`, `time`, `id` and, for a view that includes the request,
    its value columns as integers. A request without key reads the empty state.
    """
    joined = _Joined(rows, requests)
    order = joined.requests.order()
    asked, requests = joined.requests.select(order), requests.take(pa.array(order))
    known = joined.rows.known
    pending = known > joined.rows.time + view.lag
    history = _Prefixes(view, joined.rows.select(~pending))
    late = joined.rows.select(pending)
    near = _upper(history, asked, view.lag)
    result: dict[str, Column] = {}
    edges: dict[int, Ints] = {}
    for feature in view.functions:
        window = feature.window or view.longest
        if window not in edges:
            edges[window] = history.before(asked.key, asked.time - view.lag - window, inclusive=True)
        span = _Span(view, asked, history, late, edges[window], near, window)
        result[feature.name] = _back(order, _value(view, feature, span, requests))
    return result


def finalise(view: Windows, feature: Windowed, weight: Ints, number: Ints, total: Ints) -> Column:
    """The value of a feature from its exact sums: events, events with a value, and the values."""
    if feature.column is None:
        return counted(weight)
    step = unit(view, feature.column)
    if feature.function == "sum":
        return summed(total, number, step, feature.fill)
    return averaged(total, number, step, feature.fill)


@dataclass(frozen=True)
class _Rows:
    key: Ints
    time: Ints
    tie: Ints
    known: Ints
    weight: Ints
    values: dict[str, tuple[Ints, Mask]]

    def select(self, where: Mask | Ints) -> _Rows:
        values = {name: (value[where], valid[where]) for name, (value, valid) in self.values.items()}
        return _Rows(self.key[where], self.time[where], self.tie[where], self.known[where], self.weight[where], values)

    def sorted(self) -> _Rows:
        return self.select(np.lexsort((self.tie, self.time, self.key)))

    def __len__(self) -> int:
        return len(self.key)


class _Joined:
    """Rows and requests with keys and ids in common integer codes; a missing key is -1."""

    def __init__(self, rows: pa.Table, requests: pa.Table) -> None:
        keys = _codes(rows.column("key"), requests.column("key"))
        ties = _ordered(rows.column("id"), requests.column("id"))
        fixed = {"key", "time", "id", "known", "weight"}
        values = {name: integers(rows.column(name)) for name in rows.column_names if name not in fixed}
        present = keys[0] >= 0
        self.rows = _Rows(
            keys[0],
            integers(rows.column("time"))[0],
            ties[0],
            integers(rows.column("known"))[0],
            integers(rows.column("weight"))[0],
            values,
        ).select(present)
        self.requests = _Requests(keys[1], integers(requests.column("time"))[0], ties[1])


@dataclass(frozen=True)
class _Requests:
    key: Ints
    time: Ints
    tie: Ints

    def order(self) -> Ints:
        # sorted requests read the sorted rows front to back: several times faster than at random
        return np.lexsort((self.time, self.key))

    def select(self, order: Ints) -> _Requests:
        return _Requests(self.key[order], self.time[order], self.tie[order])


class _Prefixes:
    """Sorted rows with the running sums of everything that windows add up.

    Times are ranked first, so that (key, rank of the time) fits one word for any number of keys and any span of time.
    """

    def __init__(self, view: Windows, rows: _Rows) -> None:
        self.rows = rows.sorted()
        self._moments = np.unique(self.rows.time)
        self._words = self._word(self.rows.key, np.searchsorted(self._moments, self.rows.time, "left"))
        self.weight = _running(self.rows.weight)
        self.number = {}
        self.total = {}
        for name in view.value_columns:
            value, valid = self.rows.values[name]
            _check_range(value)
            self.number[name] = _running(np.where(valid, self.rows.weight, 0))
            self.total[name] = _running(value)

    def before(self, key: Ints, time: Ints, *, inclusive: bool) -> Ints:
        """The place after each key's rows with a time before `time` (or at it)."""
        # a row's time is before the wanted one exactly when its rank is below the wanted rank
        rank = np.searchsorted(self._moments, time, "right" if inclusive else "left")
        return np.asarray(np.searchsorted(self._words, self._word(key, rank), "left"), np.int64)

    def _word(self, key: Ints, rank: Ints) -> Ints:
        return key * np.int64(len(self._moments) + 1) + rank


@dataclass(frozen=True)
class _Span:
    """The rows of each request's window: a range of the sorted ones, plus late-known ones one by one."""

    view: Windows
    requests: _Requests
    history: _Prefixes
    late: _Rows
    first: Ints
    end: Ints
    window: int

    @property
    def stop(self) -> Ints:
        return np.maximum(self.end, self.first)

    def weight(self) -> Ints:
        return self._sum(self.history.weight) + self._late(self.late.weight)

    def number(self, column: str) -> Ints:
        late = np.where(self.late.values[column][1], self.late.weight, 0)
        return self._sum(self.history.number[column]) + self._late(late)

    def total(self, column: str) -> Ints:
        return self._sum(self.history.total[column]) + self._late(self.late.values[column][0])

    def last(self) -> tuple[Ints, Mask]:
        """The time of the last row, and whether there is one."""
        seen = self.stop > self.first
        times = self.history.rows.time
        last = times[np.where(seen, self.stop - 1, 0)] if len(times) else np.zeros(len(seen), np.int64)
        for index, inside in self._late_rows():
            newer = inside & (~seen | (self.late.time[index] > last))
            last, seen = np.where(newer, self.late.time[index], last), seen | newer
        return last, seen

    def _sum(self, running: Ints) -> Ints:
        return running[self.stop] - running[self.first]

    def _late(self, amounts: Ints) -> Ints:
        extra = np.zeros(len(self.first), np.int64)
        for index, inside in self._late_rows():
            extra += np.where(inside, amounts[index], 0)
        return extra

    def _late_rows(self) -> Iterable[tuple[int, Mask]]:
        requests, late = self.requests, self.late
        near = requests.time - self.view.lag
        for index in range(len(late)):
            inside = (late.time[index] <= near) & (late.time[index] > near - self.window)
            yield index, inside & (requests.key == late.key[index]) & (late.known[index] <= requests.time)


def _value(view: Windows, feature: Windowed, span: _Span, requests: pa.Table) -> Column:
    if feature.function == "since_last":
        last, seen = span.last()
        return elapsed(span.requests.time, last, seen)
    column = feature.column
    weight = span.weight()
    number = weight if column is None else span.number(column)
    total = weight if column is None else span.total(column)
    if view.include_request:
        here = span.requests.key >= 0
        weight = weight + here
        if column is not None:
            value, valid = integers(requests.column(column))
            number = number + (here & valid)
            total = total + np.where(here & valid, value, 0)
    return finalise(view, feature, weight, number, total)


def _upper(history: _Prefixes, requests: _Requests, lag: int) -> Ints:
    """End of the rows that a request may see: time at most t - lag, and (time, id) before the request's own."""
    if lag > 0:
        return history.before(requests.key, requests.time - lag, inclusive=True)
    rows = history.rows
    at = history.before(requests.key, requests.time, inclusive=False)
    while len(rows):
        here = np.minimum(at, len(rows) - 1)
        tied = (at < len(rows)) & (rows.key[here] == requests.key) & (rows.time[here] == requests.time)
        step = tied & (rows.tie[here] < requests.tie)
        if not step.any():
            break
        at = at + step
    return at


def _back(order: Ints, column: Column) -> Column:
    values, valid = np.empty_like(column[0]), np.empty_like(column[1])
    values[order], valid[order] = column
    return values, valid


def _running(values: Ints) -> Ints:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(values, dtype=np.int64)])


def _check_range(values: Ints) -> None:
    if len(values) and int(np.abs(values).max()) * len(values) >= 2**63:
        raise DataError(
            "a running sum would leave 64 bits", where="batch kernel", next_step="split the entities further"
        )


def _codes(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Codes 0… of the keys of both sides, -1 for null."""
    both = (
        pa.concat_arrays([*left.chunks, *right.chunks])
        if left.num_chunks + right.num_chunks
        else pa.array([], left.type)
    )
    values, valid = integers(both.dictionary_encode().indices)
    codes = np.where(valid, values, -1)
    return codes[: len(left)], codes[len(left) :]


def _ordered(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Ints, Ints]:
    """Integers in the order of the ids: themselves, or their rank as UTF-8 bytes."""
    if pa.types.is_integer(left.type):
        return integers(left)[0], integers(right)[0]
    texts = [text.encode() for text in [*left.to_pylist(), *right.to_pylist()]]
    ranks = {text: rank for rank, text in enumerate(sorted(set(texts)))}
    codes = np.array([ranks[text] for text in texts], np.int64)
    return codes[: len(left)], codes[len(left) :]
