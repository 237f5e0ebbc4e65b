"""Windows of entities with few rows: all of them lie in the head, and those of many requests are looked up at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from sluice.declare.views import Windows
from sluice.engine.encode import Ints, Mask
from sluice.engine.evaluate import Sums, look_up, nears
from sluice.engine.layout import ID, TIME, Matrix
from sluice.engine.plan import Plan
from sluice.engine.requests import Requests
from sluice.engine.tiles import COLD, read_head

_WORD = 8
_NO_BASE = bytes(_WORD)


def is_plain(head: bytes | None) -> bool:
    """Whether a head is that of a cold entity without a base, or there is none."""
    return head is None or (head[0] == COLD and head[_WORD : 2 * _WORD] == _NO_BASE)


def cold_sums(
    view: Windows, plan: Plan, heads: Sequence[bytes | None], requests: Requests, own: Matrix, sums: Sums
) -> None:
    """Fill in the sums of requests from the plain heads of their entities."""
    matrix, bounds = _rows(plan, heads)
    times, last = requests.times, requests.last
    if plan.texts and view.lag == 0 and not last.all():
        matrix, bounds = _kept(matrix, bounds, _before(view, heads, requests, matrix, bounds))
        last = np.ones(len(times), bool)
    if plan.known >= 0:
        matrix, bounds = _kept(matrix, bounds, matrix[:, plan.known] <= np.repeat(times, np.diff(bounds)))
    look_up(plan, matrix, bounds, times, requests.ties(texts=plan.texts), last, nears(view, times), own, sums)


def _rows(plan: Plan, heads: Sequence[bytes | None]) -> tuple[Matrix, Ints]:
    """The rows of some heads one after another, and where those of each begin."""
    size = plan.width * _WORD
    counts = [0 if head is None else int.from_bytes(head[2 * _WORD : 3 * _WORD], "little") for head in heads]
    # a bytearray, because compiled loops are made for arrays that can be written to
    held = zip(heads, counts, strict=True)
    body = bytearray().join([head[3 * _WORD : 3 * _WORD + count * size] for head, count in held if head is not None])
    return np.frombuffer(body, np.int64).reshape(-1, plan.width), np.array([0, *accumulate(counts)], np.int64)


def _kept(matrix: Matrix, bounds: Ints, seen: Mask) -> tuple[Matrix, Ints]:
    if seen.all():
        return matrix, bounds
    return np.ascontiguousarray(matrix[seen]), np.append(0, np.cumsum(seen)).astype(np.int64)[bounds]


def _before(view: Windows, heads: Sequence[bytes | None], requests: Requests, matrix: Matrix, bounds: Ints) -> Mask:
    """All rows but those of a request's own moment whose text id does not come before its own."""
    seen = np.ones(len(matrix), bool)
    for place, (moment, tie) in enumerate(zip(requests.moments, requests.ties(texts=True).tolist(), strict=True)):
        if moment.id is None:
            continue
        begin, end = int(bounds[place]), int(bounds[place + 1])
        tied = begin + np.flatnonzero(matrix[begin:end, TIME] == moment.time)
        seen[tied] = matrix[tied, ID] < tie
        alike = tied[matrix[tied, ID] == tie]
        rows = read_head(view, heads[place]).rows if len(alike) else None
        if rows is not None and rows.ids is not None:
            # only of texts that begin alike the rest decides
            seen[alike] = [rows.ids[at - begin].encode() < str(moment.id).encode() for at in alike.tolist()]
    return seen
