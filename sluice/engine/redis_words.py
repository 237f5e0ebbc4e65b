"""How a pipeline's tiles are named and written in Redis: everything lies below `sluice:{<pipeline>}:`.

    knowledge                   format, generation, number of the change, base and positions, as JSON
    loads                       how many bases were begun to be loaded; the number of one is its generation
    generations                 a set: those of which something may be left
    <generation>:views          a set: the views that have heads or chunks
    <generation>:heads:<view>   a hash: an entity's head
    <generation>:chunks:<view>  a hash: the chunk of a start and an entity
    <generation>:facts          a hash: all facts of an anchor
    <generation>:elsewhere      a hash: the anchors, other than its own id, of an event's facts

An id that is a number is written in digits, a text after a quotation mark. The braces put everything of a pipeline into
one slot of a cluster, as what happens at once cannot span two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import NamedTuple, TypeVar
from urllib.parse import quote

import orjson

from sluice.engine.store import Knowledge, Position
from sluice.engine.tiles import Id

T = TypeVar("T")
Command = Sequence[bytes | str | int]
"""A command of Redis and its arguments."""
FORMAT = 2
_MOST = 10_000
"""Fields that one command puts or removes."""


class State(NamedTuple):
    """What the knowledge key says; no two changes leave the same bytes there."""

    generation: int
    """The one that is read and written."""
    change: int
    """How many changes there were, in all generations."""
    known: Knowledge

    def after(self, generation: int, known: Knowledge) -> State:
        """The state that a change leaves behind."""
        return State(generation, self.change + 1, known)


EMPTY = State(0, 0, Knowledge(-1, {}))
"""The state of a store that nothing was ever written to."""


@dataclass(frozen=True)
class Keys:
    """The names of one generation's keys."""

    prefix: str

    @property
    def views(self) -> str:
        """Its views."""
        return f"{self.prefix}:views"

    @property
    def facts(self) -> str:
        """Its facts, by anchor."""
        return f"{self.prefix}:facts"

    @property
    def elsewhere(self) -> str:
        """Where its facts are anchored that are not anchored at their own id."""
        return f"{self.prefix}:elsewhere"

    def heads(self, view: str) -> str:
        """The heads of a view."""
        return f"{self.prefix}:heads:{view}"

    def chunks(self, view: str) -> str:
        """The chunks of a view."""
        return f"{self.prefix}:chunks:{view}"

    def all(self, views: Iterable[str]) -> list[str]:
        """Every key, given the views."""
        named = [name for view in views for name in (self.heads(view), self.chunks(view))]
        return [*named, self.facts, self.elsewhere, self.views]


class Names:
    """The names of a pipeline's keys."""

    def __init__(self, pipeline: str) -> None:
        self._prefix = f"sluice:{{{quote(pipeline, safe='')}}}:"
        self.knowledge = f"{self._prefix}knowledge"
        self.loads = f"{self._prefix}loads"
        self.generations = f"{self._prefix}generations"

    def of(self, generation: int) -> Keys:
        """The keys of a generation."""
        return Keys(f"{self._prefix}{generation}")

    @property
    def all(self) -> str:
        """A pattern of every key."""
        return f"{self._prefix}*"


def written(state: State) -> bytes:
    """The bytes of a state."""
    generation, change, known = state
    positions = [[topic, part, *at] for (topic, part), at in known.positions.items()]
    return orjson.dumps([FORMAT, generation, change, known.base, positions])


def read_state(body: bytes | None) -> State | None:
    """A state from its bytes; None if they are of another format."""
    if body is None:
        return EMPTY
    form, *rest = orjson.loads(body)
    if form != FORMAT:
        return None
    generation, change, base, positions = rest
    known = Knowledge(base, {(topic, part): Position(*at) for topic, part, *at in positions})
    return State(generation, change, known)


def field_of(identity: Id) -> bytes:
    """An id as the field of a hash."""
    return b"%d" % identity if isinstance(identity, int) else b'"' + identity.encode()


def id_of(field: bytes) -> Id:
    """The id that a field stands for."""
    return field[1:].decode() if field[:1] == b'"' else int(field)


def chunk_field(key: Id, start: int) -> bytes:
    """A chunk's name as the field of a hash."""
    return b"%d:" % start + field_of(key)


def changes(key: str, fields: Iterable[tuple[bytes, bytes | None]]) -> Iterator[Command]:
    """The commands that put fields of a hash, and remove those of None."""
    put, gone = [], []
    for field, body in fields:
        if body is None:
            gone.append(field)
        else:
            put.append((field, body))
    for some in parts(put, _MOST):
        yield ("HSET", key, *chain.from_iterable(some))
    for names in parts(gone, _MOST):
        yield ("HDEL", key, *names)


def parts(listed: Iterable[T], most: int) -> Iterator[list[T]]:
    """Lists of at most so many."""
    waiting = iter(listed)
    while part := list(islice(waiting, most)):
        yield part
