"""The batch kernel: every window of every request at once, from sorted rows and compiled loops."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sluice.declare.views import Windows
from sluice.engine.amend import part_of
from sluice.engine.arrange import Known, arranged
from sluice.engine.based import NO_BASES, Based, Bases, Seen, add, based
from sluice.engine.cores import cores
from sluice.engine.encode import Ints, integers
from sluice.engine.evaluate import Sums, evaluate, nears, nobody
from sluice.engine.finalise import finalise, places
from sluice.engine.layout import ALWAYS, FOREVER, Matrix, matrix_of
from sluice.engine.order import Side, sides_of, turned
from sluice.engine.plan import plan_of
from sluice.engine.ranges import walk

Column = tuple[NDArray[Any], NDArray[np.bool_]]
"""Values and their validity: float64 numbers, or int64 codes of a category."""
_BLOCK = 4_096


def compute(view: Windows, rows: pa.Table, requests: pa.Table, bases: Bases = NO_BASES) -> dict[str, Column]:
    """Every feature of a view for every request, in the order of `requests`.

    `rows` comes from `history.rows` or `arrivals.rows_as_served`, `requests` from `vectors.requests_of`. A request
    without key reads the empty state; one without id comes after every other. What entities had before `rows` is in
    `bases`, and known to all requests.
    """
    history, asked = sides_of(rows, requests, tied=_ids_decide(view))
    places = history.places()
    asked_places = places if asked.same_as(history) else asked.places()
    matrix, own = matrix_of(view, rows, history.tie, places), nobody(view)
    if view.include_request:
        own = matrix if are_rows(view, rows, requests) else matrix_of(view, requests, asked.tie, asked_places)
    # rows of nobody come first, and are seen by nobody
    somebodys = slice(np.count_nonzero(history.key < 0), None)
    keys, known = turned(history.key, places)[somebodys], _known(rows, places, somebodys)
    before = based(view, bases, requests.column("key"), asked_places)
    found = _Sorted(view, matrix[somebodys], keys, known, asked.turned(asked_places), before, own)
    return _values(view, found, asked_places)


def words_of(views: tuple[Windows, ...], sums: Sums) -> tuple[Matrix, NDArray[np.bool_]]:
    """The values of the features of some views as 8-byte words, one row for each request, and which are valid."""
    rule = places(*views)
    values, valid = finalise(rule, sums)
    words: Matrix = values.view(np.int64)
    if rule.coded.any():
        words[:, rule.coded] = sums.total[:, rule.coded]
    return words, valid


def named_columns(view: Windows, words: Matrix, valid: NDArray[np.bool_]) -> dict[str, Column]:
    """Words and validity by feature."""
    return _named(view, [(words[:, place], valid[:, place]) for place in range(words.shape[1])])


def _named(view: Windows, columns: Sequence[tuple[Ints, NDArray[np.bool_]]]) -> dict[str, Column]:
    found: dict[str, Column] = {}
    for feature, (words, valid) in zip(view.functions, columns, strict=True):
        kind = np.float64 if view.category(feature) is None else np.int64
        found[feature.name] = np.ascontiguousarray(words).view(kind), np.ascontiguousarray(valid)
    return found


class _Sorted:
    """Sorted rows and requests, where the windows lie, and what requests know otherwise."""

    def __init__(
        self,
        view: Windows,
        matrix: Matrix,
        keys: Ints,
        known: Known | None,
        asked: Side,
        before: Based | None,
        own: Matrix,
    ) -> None:
        self._view, self._asked, self._before, self._own = view, asked, before, own
        near = nears(view, asked.time)
        self._rows, standing, self._amended = arranged(view, matrix, keys, known, asked, near)
        who = (asked.key, asked.time, asked.tie, asked.last)
        self._first, self._stop = walk(self._rows, standing, *who, near, plan_of(view).windows)

    def sums(self, part: slice) -> Sums:
        """The exact sums of some requests that follow each other."""
        first, stop, time = np.ascontiguousarray(self._first[:, part]), self._stop[part], self._asked.time[part]
        sums = Sums.empty(len(stop), self._view)
        amended = part_of(self._amended, part)
        evaluate(plan_of(self._view), self._rows, first, stop, time, self._own[part], sums, amended)
        if self._before is not None:
            add(self._view, self._before, part, Seen(self._rows, first, stop, time, self._own[part]), sums)
        return sums


def _values(view: Windows, found: _Sorted, places: Ints) -> dict[str, Column]:
    """The values of requests in their own order, computed in blocks that fit the processor's cache."""
    words = np.empty((len(view.functions), len(places)), np.int64)
    valid = np.empty(words.shape, np.bool_)

    def fill(begin: int) -> None:
        part = slice(begin, begin + _BLOCK)
        block, seen = words_of((view,), found.sums(part))
        words[:, part], valid[:, part] = block.T, seen.T

    def back(feature: int) -> tuple[Ints, NDArray[np.bool_]]:
        seen = valid[feature]
        return np.take(words[feature], places), seen if seen.all() else np.take(seen, places)

    with ThreadPoolExecutor(cores(len(places))) as threads:
        list(threads.map(fill, range(0, len(places), _BLOCK)))
        return _named(view, list(threads.map(back, range(len(words)))))


def _ids_decide(view: Windows) -> bool:
    """Whether the order of ids at one moment changes a value: at the request's own, or of what a function picks."""
    picks = any(feature.function in {"first", "last"} for feature in view.functions)
    return picks or (view.lag == 0 and view.slot is None)


def are_rows(view: Windows, rows: pa.Table, requests: pa.Table) -> bool:
    """Whether the requests are those of the rows themselves, in their order, as when all of history is computed."""
    names = ["key", "time", "id", "flags", *view.value_columns]
    return len(rows) == len(requests) and all(rows.column(name).equals(requests.column(name)) for name in names)


def _known(rows: pa.Table, places: Ints, part: slice) -> Known | None:
    """From when until when each row is known; nothing where every request knows them all."""
    limits = {"known": ALWAYS, "until": FOREVER}
    if not any(name in rows.column_names for name in limits):
        return None
    found = [
        turned(integers(rows.column(name))[0], places)[part]
        if name in rows.column_names
        else np.full(len(places), limit)[part]
        for name, limit in limits.items()
    ]
    return Known(*found)
