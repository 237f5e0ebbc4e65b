"""Pieces of the step that computes values: a bucket of a view, or a span of its time where one task cannot hold it.

A hash spreads entities over buckets, and one entity may have more events than all others of its bucket. A bucket with
too many rows is cut by time: each piece answers the requests of its own span from the rows of that span and of those
before it that a window reaches. They are the rows that the whole bucket would show, so values are the same bits. A
window over a lifetime reaches everything, so buckets of such a view are not cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sluice.declare.operate import EVENT_TIME, KnowledgeTime
from sluice.engine import arrivals
from sluice.engine.encode import integers
from sluice.engine.forget import lifelong
from sluice.engine.history import no_events
from sluice.lake.dealing import BOTH, COUNTED, REQUESTS, Dealing
from sluice.lake.handing import handed_over
from sluice.lake.workers import Workers

Rows = Mapping[tuple[str, int], int]
"""How many rows of a view lie in a bucket."""


@dataclass(frozen=True)
class Piece:
    """The requests of a view's bucket from `begin` on and before `end`, where these are."""

    view: str
    part: int
    number: int = 0
    begin: int | None = None
    end: int | None = None

    @property
    def name(self) -> str:
        """Tells its files from those of every other piece of the view."""
        return f"{self.part:05}-{self.number:04}"

    @property
    def is_last(self) -> bool:
        """Whether no piece of the bucket comes after it."""
        return self.end is None


def pieces(
    workers: Workers,
    job: Dealing,
    counts: Sequence[Rows],
    most: int,
    *,
    begin: int | None = None,
    end: int | None = None,
) -> list[Piece]:
    """Every bucket of every view, those that hold more than `most` rows in several pieces; `counts` by task.

    Only of the times from `begin` on and before `end`, where these are.
    """
    rows: Counter[tuple[str, int]] = Counter()
    for one in counts:
        rows.update(one)
    views = job.declared().windows
    large = [(view.name, part) for view in views for part in range(job.parts) if rows[view.name, part] > most]
    large = [place for place in large if not lifelong(job.declared().view(place[0]))]
    task = partial(spans, job, most, begin=begin, end=end)
    cut = dict(zip(large, workers.each(task, large, rows=rows.total()), strict=True))
    return [
        piece
        for view in views
        for part in range(job.parts)
        for piece in cut.get((view.name, part), [Piece(view.name, part, 0, begin, end)])
    ]


def spans(
    job: Dealing, most: int, place: tuple[str, int], *, begin: int | None = None, end: int | None = None
) -> list[Piece]:
    """The pieces of one bucket from `begin` on and before `end`, each with about as many rows."""
    found = _left(job, COUNTED, *place, columns=["time"], since=begin, before=end)
    if found is None:
        raise AssertionError(f"nothing was counted for {place}")
    times = np.sort(integers(found.column("time"))[0])
    cuts = np.unique(times[np.linspace(0, len(times), -(-len(times) // most), endpoint=False).astype(np.int64)[1:]])
    bounds = [begin, *cuts.tolist(), end]
    return [Piece(*place, number, first, until) for number, (first, until) in enumerate(pairwise(bounds))]


def requests(job: Dealing, piece: Piece) -> pa.Table | None:
    """The requests of a piece; None when there are none."""
    return _left(job, REQUESTS, piece.view, piece.part, since=piece.begin, before=piece.end) or None


def counted(job: Dealing, piece: Piece, *, since: int | None = None, knowledge: KnowledgeTime = EVENT_TIME) -> pa.Table:
    """The rows that the requests of a piece can see, and all from a moment on."""
    view = job.declared().view(piece.view)
    first = None if piece.begin is None or lifelong(view) else piece.begin - view.reach
    if first is not None and since is not None:
        first = min(first, since)
    found = _left(job, COUNTED, piece.view, piece.part, since=first, before=piece.end)
    return found or arrivals.counted(view, no_events(view), kept=0, knowledge=knowledge)


def _left(job: Dealing, kind: str, view: str, part: int, **limits: Any) -> pa.Table | None:
    """What was left of a kind for a bucket, by itself and as what is both."""
    alone, both = (handed_over(job.work(place, view, part), **limits) for place in (kind, BOTH))
    if both is not None and kind == COUNTED and "_place" in both.column_names:
        both = both.drop(["_place"])
    found = [one for one in (alone, both) if one is not None]
    # in one stretch, or every step would put the same columns together anew
    return pa.concat_tables(found).combine_chunks() if found else None


def own(piece: Piece, rows: pa.Table) -> pa.Table:
    """Those of some rows that lie in a piece's own span."""
    return rows if piece.begin is None else rows.filter(pc.greater_equal(rows.column("time"), piece.begin))
