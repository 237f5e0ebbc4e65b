"""Tiles: what a store keeps of one entity in one view, as bytes.

An entity with few rows is **cold**: its head holds all of them. One with many is **hot**: its rows lie in leaves, a
chunk of rows for each, and its head holds where the leaves are and the state of each, so that a read opens only those
that a window cuts. In whole numbers of 8 bytes:

    head of a cold entity    COLD | words of the base | rows | base … | rows …                                 ids
    head of a hot entity     HOT | words of the base | leaves | base … | starts | spans | sizes | knowns | ends of
                             tallies | sums of each leaf … | tallies of each leaf …
    chunk of a leaf          rows | rows …                                                                     ids

Ids are a JSON list where they are texts; whole numbers stand in the rows. The base is the state of what was forgotten,
kept for lifetime windows. Which leaves there are depends on the rows alone: a slot with more of them than `view.leaf`
is divided into shorter ones, down to the view's shortest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import orjson

from sluice.declare.views import Windows
from sluice.engine.encode import Ints
from sluice.engine.layout import ALWAYS, ID, TIME, Matrix, known_word, width
from sluice.engine.plan import has_texts
from sluice.engine.states import shape, state_of

Id = int | str
COLD, HOT = 1, 2
_WORD = 8
_HEAD = 3
NO_WORDS = np.empty(0, np.int64)
"""The base of an entity of which nothing was forgotten, or that needs nothing of it."""


class Rows(NamedTuple):
    """Rows in order, with their ids where these are texts."""

    matrix: Matrix
    ids: list[str] | None


class Leaf(NamedTuple):
    """One slot of a hot entity; `rows` is None where they were not read."""

    start: int
    span: int
    size: int
    """How many rows it has."""
    known: int
    """The latest moment from which a row is known."""
    state: Ints
    """What the whole slot adds to a window."""
    rows: Rows | None = None

    @property
    def end(self) -> int:
        """The first microsecond after it."""
        return self.start + self.span


class Index(NamedTuple):
    """The leaves of a hot entity, one array for each thing that is known of them."""

    starts: Ints
    spans: Ints
    sizes: Ints
    knowns: Ints
    ends: Ints
    """Where the tallies of each end; those of the first begin at 0."""
    sums: Matrix
    """The fixed words of their states."""
    tallies: Ints

    def leaves(self) -> list[Leaf]:
        """One by one."""
        states = map(np.concatenate, zip(self.sums, np.split(self.tallies, self.ends[:-1]), strict=True))
        columns = zip(*(part.tolist() for part in self[:4]), states, strict=True)
        return [Leaf(*told) for told in columns]


class Head(NamedTuple):
    """What a head says: the base, and all rows or the leaves."""

    base: Ints
    rows: Rows | None
    leaves: Index | None


class Laid(NamedTuple):
    """An entity as it is stored: its head, and its chunks by start; None for what is to be removed."""

    head: bytes | None
    chunks: Mapping[int, bytes | None]


def no_rows(view: Windows) -> Rows:
    """The rows of an entity without events."""
    return Rows(np.empty((0, width(view)), np.int64), [] if has_texts(view) else None)


def read_head(view: Windows, head: bytes | None) -> Head:
    """A head from its bytes; without any, that of an entity without events."""
    if head is None:
        return Head(NO_WORDS, no_rows(view), None)
    words = np.frombuffer(head, np.int64, len(head) // _WORD)
    kind, based, count = words[:_HEAD].tolist()
    base = words[_HEAD : _HEAD + based]
    if kind == COLD:
        return Head(base, _rows(view, head, _HEAD + based, count), None)
    return Head(base, None, _index(view, words[_HEAD + based :], count))


def read_chunk(view: Windows, chunk: bytes) -> Rows:
    """The rows of a chunk."""
    return _rows(view, chunk, 1, int.from_bytes(chunk[:_WORD], "little"))


def id_word(identity: Id) -> int:
    """The word of an id: itself, or the first bytes of a text, ordered as the texts are."""
    if isinstance(identity, int):
        return identity
    return int.from_bytes(identity.encode()[:_WORD].ljust(_WORD, b"\0"), "big") - 2**63


def cold(rows: Rows, base: Ints = NO_WORDS) -> bytes:
    """The head of a cold entity."""
    header = np.array([COLD, len(base), len(rows.matrix)], np.int64)
    return b"".join([header.tobytes(), base.tobytes(), *_body(rows)])


def hot(view: Windows, leaves: Sequence[Leaf], base: Ints = NO_WORDS) -> bytes:
    """The head of a hot entity."""
    fixed = shape(view).fixed
    index = np.array([(leaf.start, leaf.span, leaf.size, leaf.known) for leaf in leaves], np.int64).T
    sums, tallies = [leaf.state[:fixed] for leaf in leaves], [leaf.state[fixed:] for leaf in leaves]
    header = np.array([HOT, len(base), len(leaves)], np.int64)
    ends = np.cumsum([len(part) for part in tallies], dtype=np.int64)
    return np.concatenate([header, base, index.ravel(), ends, *sums, *tallies]).tobytes()


def chunk(rows: Rows) -> bytes:
    """The chunk of a leaf."""
    return b"".join([len(rows.matrix).to_bytes(_WORD, "little"), *_body(rows)])


def lay_out(view: Windows, rows: Rows, base: Ints = NO_WORDS) -> Laid:
    """An entity from all of its rows, in order."""
    if len(rows.matrix) <= view.leaf:
        return Laid(cold(rows, base) if len(rows.matrix) or len(base) else None, {})
    leaves = list(divided(view, rows, 0))
    return Laid(hot(view, leaves, base), {leaf.start: chunk(leaf.rows) for leaf in leaves if leaf.rows is not None})


def divided(view: Windows, rows: Rows, level: int) -> Iterator[Leaf]:
    """The leaves of rows in order, none longer than the view's slot of that level."""
    span = view.slots[level]
    slots = rows.matrix[:, TIME] // span
    bounds = [0, *(np.flatnonzero(np.diff(slots)) + 1).tolist(), len(slots)] if len(slots) else []
    for begin, end in pairwise(bounds):
        part = Rows(rows.matrix[begin:end], None if rows.ids is None else rows.ids[begin:end])
        if end - begin > view.leaf and level + 1 < len(view.slots):
            yield from divided(view, part, level + 1)
        else:
            yield leaf_of(view, int(slots[begin]) * span, span, part)


def leaf_of(view: Windows, start: int, span: int, rows: Rows) -> Leaf:
    """A leaf from its rows."""
    known = int(rows.matrix[:, known_word(view)].max()) if view.label else ALWAYS
    return Leaf(start, span, len(rows.matrix), known, state_of(view, rows.matrix), rows)


def in_order(rows: Rows) -> Rows:
    """Rows by (time, id), then by their other words."""
    matrix, ids = rows
    if ids is None:
        return Rows(matrix[np.lexsort(matrix.T[::-1])], None)
    order = np.argsort(matrix[:, TIME], kind="stable")
    if not np.diff(matrix[order, TIME]).all():
        order = np.array(_by_time_and_text(matrix.tolist(), ids), np.int64)
    return Rows(matrix[order], [ids[i] for i in order.tolist()])


def _by_time_and_text(rows: list[list[int]], ids: Sequence[str]) -> list[int]:
    """The order of rows of which some are of one moment: texts compare as UTF-8 bytes."""
    return sorted(range(len(rows)), key=lambda i: (rows[i][TIME], ids[i].encode(), rows[i][ID + 1 :]))


def _body(rows: Rows) -> list[bytes]:
    texts = [] if rows.ids is None else [orjson.dumps(rows.ids)]
    return [np.ascontiguousarray(rows.matrix).tobytes(), *texts]


def _rows(view: Windows, body: bytes, first: int, count: int) -> Rows:
    words = count * width(view)
    matrix = np.frombuffer(body, np.int64, words, first * _WORD).reshape(count, width(view))
    ids = orjson.loads(body[(first + words) * _WORD :]) if has_texts(view) else None
    return Rows(matrix, ids)


def _index(view: Windows, words: Ints, count: int) -> Index:
    fixed = shape(view).fixed
    columns = words[: 5 * count].reshape(5, count)
    sums = words[5 * count : (5 + fixed) * count].reshape(count, fixed)
    return Index(columns[0], columns[1], columns[2], columns[3], columns[4], sums, words[(5 + fixed) * count :])
